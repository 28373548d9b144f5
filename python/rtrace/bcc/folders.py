"""Where the kernel's files for tracing are, as scripts import it from ``bcc``."""

from __future__ import annotations

import os

DEBUGFS = "/sys/kernel/debug"
# tracefs is mounted by itself on newer systems, and within debugfs besides.
TRACEFS = next(
    (path for path in (f"{DEBUGFS}/tracing", "/sys/kernel/tracing") if os.path.isdir(f"{path}/events")),
    "/sys/kernel/tracing",
)
