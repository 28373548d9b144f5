"""``rtrace latency``: pairs as they come, or histograms of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace.cli import measure
from rtrace.histogram import Histogram
from rtrace.trace import FieldFacts, Trace
from tests.unit.cli.conftest import FIRST_NS, Measurement, Recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
         0 -> 1          : 0        |                                        |
         2 -> 3          : 0        |                                        |
         4 -> 7          : 3        |****************************************|
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


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """Return the list of measurements that commands have made; none of them traces."""
    made: list[Measurement] = []

    def attach(*targets: str, **options: Any) -> Measurement:
        made.append(Measurement(targets=targets, **options))
        return made[-1]

    monkeypatch.setattr("rtrace.shapes.tracepoint_latency.tracepoint_latency", attach)
    return made


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


def test_histograms_are_counted_in_the_kernel(rtrace: Call, counted: list[Measurement]) -> None:
    more = ["--filter", "id > 3", "--min-latency", "1ms", "-p", "1", "-t", "2", "--cgroup", "/"]
    status, out, err = rtrace(*WORDS, "--histogram", "--by", "id", "--unit", "ns", "1ms", "2", *more)
    assert (status, out, err) == (0, f"{measure.GREETING}\n" + 2 * f"\n{HISTOGRAM}", "")
    assert counted[0].closed
    assert counted[0].options == {
        "targets": ("a:b", "c:d"), "key": "id", "output": "histogram", "by": "id", "unit": "ns", "max_text": 16,
        "filter": "id > 3", "min_latency": 0.001, "pid": 1, "tid": 2, "cgroup": "/", "tool": "latency",
    }  # fmt: skip


def test_a_histogram_for_a_duration_as_json_and_in_a_file(
    rtrace: Call, counted: list[Measurement], tmp_path: Path
) -> None:
    status, out, err = rtrace(*WORDS, "--histogram", "--json", "-d", "10ms")
    assert (status, err) == (0, "")
    assert json.loads(out)["total"] == counted[0].calls == 3
    assert counted[0].options["unit"] == "us"
    file = tmp_path / "pairs.npz"
    assert rtrace(*WORDS, "--histogram", "1ms", "3", "-o", str(file))[0] == 0
    assert Histogram.load(file).total == 9


def test_no_such_field(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str, **__: Any) -> None:
        message = "no field 'nope' to split by"
        raise ValueError(message)

    monkeypatch.setattr("rtrace.shapes.tracepoint_latency.tracepoint_latency", refuse)
    said = "rtrace: error: no field 'nope' to split by\nhint: `rtrace format a:b` lists its fields\n"
    assert rtrace(*WORDS, "--histogram", "--by", "nope") == (2, "", said)


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
        ([*WORDS, "--histogram", "--wall"], "argument --wall: not allowed with argument --histogram"),
        ([*WORDS, "--histogram", "-n", "3"], "argument -n/--count: not allowed with argument --histogram"),
        ([*WORDS, "--histogram", "--fields", "id"], "argument --fields: not allowed with argument --histogram"),
        ([*WORDS, "1"], "argument interval: only with --histogram"),
        ([*WORDS, "--unit", "us"], "argument --unit: only with --histogram"),
        ([*WORDS, "--histogram", "0"], "argument interval: '0' is no time at all; it must be more than 0"),
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
