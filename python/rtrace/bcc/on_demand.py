"""Attributes of a class whose modules take longer to import than to attach."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any


class OnDemand:
    """A class attribute that is taken from a module when it is asked for, of the class or of an object."""

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        """Return what the module has."""
        return getattr(importlib.import_module(self.module), self.name)
