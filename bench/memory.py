"""Memory while recording for long, with bounded memory and a reader that stalls: it must not grow."""

from __future__ import annotations

import json
import subprocess

from bench import peers
from bench.flood import flood
from bench.measure import BenchError, Table

SECONDS = 60
# Events per second: a bound of 32 MiB is reached after some 7 seconds.
RATE = 100_000


def native(seconds: int = SECONDS) -> Table:
    """Record so long; a sample for each second."""
    # The generator ends first, so that nothing comes any more while the recorder counts what it has.
    with flood(seconds, RATE) as (pid, go):
        command = [peers.PYTHON, str(peers.FOLDER / "rtrace_memory.py"), str(pid), str(seconds)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None  # noqa: S101  # for the type checker
            if process.stdout.readline().strip() != "attached":
                message = "rtrace: did not attach"
                raise BenchError(message)
            made = go()
            said, _ = process.communicate("\n")
    *seen, end = [json.loads(line) for line in said.splitlines()]
    if end["delivered"] + end["lost"] != made["calls"]:
        message = f"rtrace: {end['delivered']} delivered and {end['lost']} lost of {made['calls']}"
        raise BenchError(message)
    return {
        "rtrace": {
            "second": [one["second"] for one in seen],
            "rss_mb": [one["rss_kb"] / 1024 for one in seen],
            "delivered": [end["delivered"]],
            "lost": [end["lost"]],
        }
    }
