"""``STRCMP("text", pointer)`` in the expressions of trace and argdist."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

# With "bin" the quotes are part of what is typed, and the text is C as it stands.
_TEXT = re.compile(r'STRCMP\(("[^"]+"),(.+?)\)')
_BINARY = re.compile(r'STRCMP\("([^"]+)",(.+?)\)')
# The first parameter is where the expression has the text.
_FUNCTION = """\
static inline bool {name}(const char *unused, uintptr_t pointer)
{{
    char wanted[] = {text};
    char found[sizeof(wanted)] = {{}};
    {read}(&found, sizeof(found), (void *)pointer);
#pragma unroll
    for (int at = 0; at < sizeof(wanted) - 1; at++)
        if (wanted[at] != found[at])
            return false;
    return true;
}}
"""


class StrcmpRewrite:
    """Makes a function of each comparison."""

    @staticmethod
    def rewrite_expr(  # noqa: PLR0913, PLR0917  # bcc's signature
        expr: str,
        bin_cmp: Any,
        is_user: Any,
        probe_user_list: Collection[str],
        streq_functions: str,
        probeid: int,
    ) -> dict[str, Any]:
        """Replace each comparison in an expression by a call of a function of its own.

        Returns
        -------
        dict
            ``expr``, ``streq_functions`` (the C of the functions, appended to what was given) and ``probeid``, the
            number that the next function gets.
        """
        for match in (_BINARY if bin_cmp else _TEXT).finditer(expr):
            user = bool(is_user) or match[2].strip() in probe_user_list
            name = f"streq_{probeid}"
            read = "bpf_probe_read_user" if user else "bpf_probe_read_kernel"
            streq_functions += _FUNCTION.format(name=name, text=match[1], read=read)
            expr = expr.replace("STRCMP", name, 1)
            probeid += 1
        return {"expr": expr, "streq_functions": streq_functions, "probeid": probeid}
