"""One bench's numbers and where they come from, as kept in build/bench/NAME.json."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from bench.measure import BUILD, Table

VERSIONS = {
    "rtrace at": ["git", "--no-optional-locks", "rev-parse", "--short", "HEAD"],
    "bcc": ["/usr/bin/python3", "-c", "import bcc; print(bcc.__version__)"],
    "bpftrace": ["bpftrace", "--version"],
    "clang": ["clang", "-dumpversion"],
    "libbpf": ["dpkg-query", "--show", "--showformat=${Version}", "libbpf-dev"],
}


@dataclass(frozen=True, slots=True)
class Result:
    """The samples of a bench, with the facts of the machine."""

    bench: str
    command: str
    date: str
    kernel: str
    cpu: str
    cpus: int
    load: float
    """Average of the last minute at the end: how busy others kept the machine, and the bench itself."""
    versions: dict[str, str]
    table: Table

    @classmethod
    def here(cls, bench: str, command: str, table: Table) -> Self:
        """Add the facts of this machine to a table."""
        facts = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        models = [value.strip() for name, _, value in facts if name.strip() == "model name"]
        return cls(
            bench=bench,
            command=command,
            date=datetime.now(UTC).isoformat(timespec="minutes"),
            kernel=os.uname().release,
            cpu=models[0] if models else platform.processor(),
            cpus=os.cpu_count() or 0,
            load=os.getloadavg()[0],
            versions={
                "python": platform.python_version(),
                **{name: version_of(call) for name, call in VERSIONS.items()},
            },
            table=table,
        )

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Read back what `to_dict` gave."""
        return cls(**stored)

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return asdict(self)

    def save(self) -> None:
        """Keep it."""
        BUILD.mkdir(parents=True, exist_ok=True)
        (BUILD / f"{self.bench}.json").write_text(json.dumps(self.to_dict(), indent=1) + "\n")


def load_all() -> list[Result]:
    """Read every result that is kept."""
    return [Result.from_dict(json.loads(path.read_text())) for path in sorted(BUILD.glob("*.json"))]


def version_of(command: list[str]) -> str:
    """Ask a program for its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return done.stdout.strip().removeprefix("bpftrace v")
