"""The version of bcc whose names and behaviour scripts find here."""

from __future__ import annotations

# Not rtrace's own, as scripts compare it to learn what bcc can do; that is ``rtrace.__version__``.
__version__ = "0.35.0"
