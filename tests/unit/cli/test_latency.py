"""``rtrace latency``: pairs as they come, and their histogram at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace.cli import latency
from rtrace.trace import FieldFacts, Trace
from tests.unit.cli.conftest import FIRST_NS, Recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Call = Callable[..., tuple[int, str, str]]
    Prepare = Callable[..., list[Recording]]

TARGET = "a:b -> c:d"
WORDS = ("latency", "a:b", "c:d", "--key", "id")
PAIR = np.dtype(
    [
        ("ts_ns", "u8"), ("pid", "u4"), ("tid", "u4"), ("comm", "S16"), ("cpu", "u4"), ("latency_ns", "u8"),
        ("id", "u4"),
    ]
)  # fmt: skip
HISTOGRAM = """\
     usecs               : count     distribution
         0 -> 1          : 1        |********************                    |
         2 -> 3          : 2        |****************************************|
"""


def make_pairs() -> NDArray[np.void]:
    rows = [(FIRST_NS + 1000 * place, 7, 8, b"dd", 0, 1001 + 1000 * place, place // 2) for place in range(3)]
    return np.array(rows, PAIR)


@pytest.fixture
def pairs(recorded: Prepare, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Return a function that sets what the next recording of pairs hands out."""

    def make(recording: Recording, batches: list[NDArray[np.void]]) -> Trace:
        records = np.concatenate([np.empty(0, recording.dtype), *batches])
        facts = {"latency_ns": FieldFacts(unit="ns")}
        return Trace(records=records, target=TARGET, losses=recording.lost, fields=facts, duration=99.0)

    def prepare(*batches: NDArray[np.void], **facts: Any) -> list[Recording]:
        made = recorded(*batches, **facts)
        from rtrace.shapes import tracepoint_events

        attach = tracepoint_events.tracepoint_events
        monkeypatch.setattr("rtrace.shapes.tracepoint_latency.tracepoint_latency", attach)
        return made

    monkeypatch.setattr(Recording, "trace", make)
    monkeypatch.setattr(Recording, "dtype", PAIR)
    return prepare


def test_lines_with_the_time_between(rtrace: Call, pairs: Prepare) -> None:
    pairs(make_pairs()[:2])
    status, out, err = rtrace(*WORDS)
    assert (status, out.splitlines()) == (
        0,
        [
            f"        TIME(s)  COMM                 PID     TID CPU       LAT(us)  {TARGET}",
            "       0.000000  dd                     7       8   0         1.001  id=0",
            "       0.000001  dd                     7       8   0         2.001  id=0",
        ],
    )
    assert err.startswith(f"Tracing {TARGET}... Hit Ctrl-C to end.\n2 events in ")


def test_json(rtrace: Call, pairs: Prepare) -> None:
    pairs(make_pairs())
    _, out, _ = rtrace(*WORDS, "--json", "-n", "1")
    assert json.loads(out)["latency_ns"] == 1001


@pytest.mark.parametrize("enough", [1, 1 << 16])
def test_a_histogram_at_the_end(rtrace: Call, pairs: Prepare, monkeypatch: pytest.MonkeyPatch, enough: int) -> None:
    monkeypatch.setattr(latency, "ENOUGH", enough)
    made = pairs(make_pairs()[:1], make_pairs()[1:], lost={"starts_overwritten": 1})
    status, out, err = rtrace(*WORDS, "--histogram")
    assert (status, out) == (0, HISTOGRAM)
    assert "\n3 events in " in err
    assert err.endswith("; lost: 1 event (1 start overwritten)\n")
    assert made[0].closed


def test_a_histogram_for_each_value_as_json(rtrace: Call, pairs: Prepare) -> None:
    pairs(make_pairs()[:1], make_pairs()[1:], lost={"starts_overwritten": 1})
    status, out, _ = rtrace(*WORDS, "--histogram", "--by", "id", "--json")
    found = json.loads(out)
    assert (status, found["by"], found["losses"], found["sum_ns"]) == (0, "id", {"starts_overwritten": 1}, 6003)
    assert found["duration"] < 99


def test_a_histogram_of_nothing(rtrace: Call, pairs: Prepare) -> None:
    pairs()
    status, _, err = rtrace(*WORDS, "--histogram", "--by", "comm")
    assert status == 0
    assert "\n0 events in " in err


def test_no_such_column(rtrace: Call, pairs: Prepare) -> None:
    made = pairs()
    status, out, err = rtrace(*WORDS, "--histogram", "--by", "nope")
    assert (status, out) == (2, "")
    assert "rtrace: error: no column `nope`; there are ts_ns, " in err
    assert made[0].closed


@pytest.mark.parametrize(("words", "key"), [("dev, sector", ["dev", "sector"]), ("request", "request")])
def test_the_options_reach_the_library(rtrace: Call, pairs: Prepare, words: str, key: Any) -> None:
    made = pairs()
    more = ["--fields", "id", "-p", "1", "-t", "2", "--cgroup", "/", "--filter", "id > 3", "--min-latency", "1ms"]
    assert rtrace("latency", "a:b", "c:d", "--key", words, *more)[0] == 0
    assert made[0].options == {
        "targets": ("a:b", "c:d"), "key": key, "fields": ["id"], "pid": 1, "tid": 2, "cgroup": "/",
        "filter": "id > 3", "min_latency": 0.001, "tool": "latency",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["latency", "a:b", "c:d"], "the following arguments are required: --key"),
        ([*WORDS[:4], "a,,b"], "argument --key: 'a,,b' is not a list of names like a,b"),
        ([*WORDS, "--by", "id"], "argument --by: only with --histogram"),
        ([*WORDS, "--histogram", "--csv"], "argument --csv: not allowed with argument --histogram"),
        ([*WORDS, "--histogram", "-o", "x.npz"], "argument -o/--output: not allowed with argument --histogram"),
    ],
)
def test_wrong_words(rtrace: Call, pairs: Prepare, words: list[str], said: str) -> None:
    made = pairs()
    hint = "hint: `rtrace latency --help` lists what it takes"
    assert rtrace(*words) == (2, "", f"rtrace: error: {said}\n{hint}\n")
    assert made == []


def test_an_end_that_is_no_name(rtrace: Call, pairs: Prepare) -> None:
    made = pairs()
    assert rtrace("latency", "a:b", "cd", "--key", "id")[0] == 2
    assert made == []
