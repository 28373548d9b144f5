"""``python -m rtrace`` is the program ``rtrace``."""

from __future__ import annotations

import sys

from rtrace.cli import run

if __name__ == "__main__":
    sys.exit(run())
