"""A mapping that is not to be changed, and that can be pickled and copied, which ``types.MappingProxyType`` cannot."""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any, NoReturn


class ReadOnly(dict):  # type: ignore[type-arg]  # its users promise a Mapping of what they put in
    """A dict without the methods that change one."""

    __slots__ = ()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        message = "this mapping is read-only; make a dict of it to change that"
        raise TypeError(message)

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy: made again from a dict."""
        return type(self), (dict(self),)
