"""Questions whose answer does not change."""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def once(ask: Callable[[], T]) -> Callable[[], T]:
    """Have a question asked once, as `functools.cache` would, whose import takes longer than to attach."""
    answers: list[T] = []

    def answer() -> T:
        if not answers:
            answers.append(ask())
        return answers[0]

    answer.__name__, answer.__doc__ = ask.__name__, ask.__doc__
    return answer
