"""What a BPF object has attached, by kind, place and program, so that it can be detached by the same words."""

from __future__ import annotations

from rtrace import _rtrace
from rtrace.errors import AttachError

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any


class Links:
    """Live attachments."""

    def __init__(self) -> None:
        self._links: dict[str, dict[bytes, dict[bytes, list[_rtrace.Link]]]] = {}

    def add(self, kind: str, place: bytes, program: bytes, links: Iterable[_rtrace.Link]) -> None:
        """Remember links of one program at one place; a place may have several programs, and one of them twice."""
        self._links.setdefault(kind, {}).setdefault(place, {}).setdefault(program, []).extend(links)

    def of(self, kind: str) -> dict[bytes, dict[bytes, list[_rtrace.Link]]]:
        """Return the links of a kind, by place and program."""
        return self._links.get(kind, {})

    def all(self) -> list[_rtrace.Link]:
        """Return every link there is."""
        return [
            link
            for places in self._links.values()
            for programs in places.values()
            for links in programs.values()
            for link in links
        ]

    def count(self, kind: str) -> int:
        """Return how many links of a kind there are."""
        return sum(len(links) for programs in self.of(kind).values() for links in programs.values())

    def remove(self, kind: str, place: bytes, program: bytes | None = None) -> None:
        """Detach one program from a place, or all of them."""
        programs = self.of(kind).get(place, {})
        chosen = [program] if program else list(programs)
        found = [link for name in chosen for link in programs.pop(name, [])]
        if not found:
            shown = place.decode(errors="replace")
            which = f"`{program.decode(errors='replace')}`" if program else "any program"
            message = f"detach {which} from {kind} `{shown}`: it is not attached there"
            raise AttachError(message, kind=kind, target=shown)
        if not programs:
            del self._links[kind][place]
        close_links(found)

    def close(self) -> None:
        """Detach everything; probes side by side, as the kernel waits for each."""
        links = self.all()
        self._links = {}
        close_links(links)


def close_links(links: Sequence[Any]) -> None:
    """Close links, native ones side by side, and what closes like one."""
    _rtrace.close_all([link for link in links if isinstance(link, _rtrace.Link)])
    for link in links:
        link.close()
