"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell lets what it starts in the background ignore SIGINT, and children inherit that: tests press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
