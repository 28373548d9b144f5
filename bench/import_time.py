"""What ``import rtrace`` adds to a bare interpreter, and the parts of a start that come after it."""

from __future__ import annotations

from bench import peers
from bench.measure import Table, in_turn, launch

ROUNDS = 20
STATEMENTS = {
    "bare interpreter": "pass",
    "import rtrace": "import rtrace",
    "import rtrace; rtrace.vfsreadlat": "import rtrace; rtrace.vfsreadlat",
    "import rtrace._rtrace": "import rtrace._rtrace",
    "import rtrace.histogram (numpy)": "import rtrace.histogram",
}


def native() -> Table:
    """Time interpreters that import more and more."""
    contestants = [peers.statement(name, code) for name, code in STATEMENTS.items()]

    def measure(peer: peers.Peer) -> dict[str, float]:
        with launch(peer, "-") as running:
            pass
        return {"attached_ms": running.ready_ms, "peak_mb": running.peak_mb}

    return in_turn(contestants, ROUNDS, measure, warm_up=True)
