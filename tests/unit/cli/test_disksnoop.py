"""``rtrace disksnoop``: requests as bcc writes them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace.cli import disk_lines
from rtrace.trace import Trace
from tests.unit.cli.conftest import FIRST_NS, Measurement, Recording, make_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Call = Callable[..., tuple[int, str, str]]
    Prepare = Callable[..., list[Recording]]

TARGET = "block:block_rq_issue -> block:block_rq_complete"
GREETED = f"Tracing {TARGET}... Hit Ctrl-C to end.\n"
HEADING = "TIME(s)            T  BYTES    LAT(ms)"
REQUEST = np.dtype(
    [
        ("ts_ns", "u8"), ("pid", "u4"), ("tid", "u4"), ("comm", "S16"), ("cpu", "u4"), ("latency_ns", "u8"),
        ("dev", "u4"), ("sector", "u8"), ("bytes", "u4"), ("rwbs", "S10"),
    ]
)  # fmt: skip
REQUESTS = [
    (16458043_435457001, 7, 7, b"dd", 0, 2_734_999, 8 << 20 | 16, 9, 4096, b"WS"),
    (16458043_435457002, 7, 7, b"a\tb", 1, 4_000, 259 << 20, 0, 0, b"FF"),
    (16458043_500000000, 7, 7, b"kworker/u8:1-ev", 1, 123_456_789_000, 8 << 20 | 16, 9, 16777216, b"RAM"),
]


def make_requests(rows: slice = slice(None)) -> NDArray[np.void]:
    return np.array(REQUESTS[rows], REQUEST)


@pytest.fixture
def requests(recorded: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prepare:
    """Return a function that sets what the next recording of requests hands out."""

    def make(recording: Recording, batches: list[NDArray[np.void]]) -> Trace:
        return Trace(records=np.concatenate([make_requests(slice(0)), *batches]), target=TARGET, losses=recording.lost)

    def prepare(*batches: NDArray[np.void], **facts: Any) -> list[Recording]:
        made = recorded(*batches, **facts)
        from rtrace.shapes import tracepoint_events

        monkeypatch.setattr("rtrace.tools.disksnoop.tracepoint_latency", tracepoint_events.tracepoint_events)
        return made

    monkeypatch.setattr(Recording, "trace", make)
    monkeypatch.setattr(Recording, "dtype", REQUEST)
    monkeypatch.setattr(disk_lines, "DEVICES", str(tmp_path))
    os.symlink("../../devices/virtual/block/sdb", tmp_path / "8:16")
    return prepare


def test_the_rows_of_bcc(rtrace: Call, requests: Prepare) -> None:
    made = requests(make_requests(slice(2)), make_requests(slice(2, 3)))
    status, out, err = rtrace("disksnoop")
    assert status == 0
    assert out.splitlines() == [
        HEADING,
        "16458043.435457001 W  4096        2.73",
        "16458043.435457002 F  0           0.00",
        "16458043.500000000 R  16777216 123456.79",
    ]
    assert out.splitlines()[0] == "%-18s %-2s %-7s %8s" % ("TIME(s)", "T", "BYTES", "LAT(ms)")  # noqa: UP031
    assert out.splitlines()[1] == "%-18.9f %-2s %-7s %8.2f" % (16458043.435457001, "W", 4096, 2.734999)  # noqa: UP031
    assert err.startswith(f"{GREETED}3 events in ")
    assert err.endswith(" per second; lost: 0 events\n")
    assert made[0].closed


def test_a_short_time_is_padded(rtrace: Call, requests: Prepare) -> None:
    events = make_requests(slice(1))
    events["ts_ns"], events["rwbs"] = FIRST_NS + 1, b""
    requests(events)
    assert rtrace("disksnoop")[1] == f"{HEADING}\n5.000000001           4096        2.73\n"


def test_verbose_has_disk_and_thread(rtrace: Call, requests: Prepare) -> None:
    requests(make_requests())
    _, out, _ = rtrace("disksnoop", "-v")
    assert out.splitlines() == [
        f"{HEADING}  DISK         COMM",
        "16458043.435457001 W  4096        2.73  sdb          dd",
        "16458043.435457002 F  0           0.00  259,0        a\\tb",
        "16458043.500000000 R  16777216 123456.79  sdb          kworker/u8:1-ev",
    ]


def test_json_csv_and_a_number_of_requests(rtrace: Call, requests: Prepare) -> None:
    requests(make_requests())
    _, out, err = rtrace("disksnoop", "--json", "-n", "2")
    found = [json.loads(line) for line in out.splitlines()]
    assert [request["latency_ns"] for request in found] == [2_734_999, 4_000]
    assert found[0]["rwbs"] == "WS"
    assert "\n2 events in " in err
    requests(make_requests())
    assert rtrace("disksnoop", "--csv")[1].startswith('"ts_ns","pid","tid","comm","cpu","latency_ns","dev",')


def test_a_file(rtrace: Call, requests: Prepare, tmp_path: Path) -> None:
    file = tmp_path / "disk.npz"
    requests(make_requests(), lost={"starts_overwritten": 2})
    status, out, err = rtrace("disksnoop", "-o", str(file))
    assert (status, out) == (0, "")
    assert err.endswith(f"; lost: 2 events (2 starts overwritten); saved to {file}\n")
    assert Trace.load(file)["bytes"].tolist() == [4096, 0, 16777216]


def test_histograms_are_counted_in_the_kernel(rtrace: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Measurement] = []

    def attach(*targets: str, **options: Any) -> Measurement:
        made.append(Measurement(targets=targets, **options))
        return made[-1]

    monkeypatch.setattr("rtrace.tools.disksnoop.tracepoint_latency", attach)
    status, out, _ = rtrace("disksnoop", "--histogram", "--by", "rwbs", "--key", "dev", "1ms", "2", "--json")
    assert status == 0
    assert [json.loads(line)["total"] for line in out.splitlines()] == [3, 3]
    options = made[0].options
    assert {name: options[name] for name in ("key", "output", "by", "unit", "fields", "tool")} == {
        "key": "dev", "output": "histogram", "by": "rwbs", "unit": "us", "fields": None, "tool": "disksnoop",
    }  # fmt: skip


@pytest.mark.parametrize(("described", "key"), [(True, "request"), (False, ("dev", "sector"))])
def test_the_key_is_exact_where_it_can_be(
    rtrace: Call, requests: Prepare, monkeypatch: pytest.MonkeyPatch, *, described: bool, key: Any
) -> None:
    monkeypatch.setattr("rtrace.shapes.block_requests.described", lambda: described)
    made = requests()
    assert rtrace("disksnoop")[0] == 0
    assert made[0].options["key"] == key


@pytest.mark.parametrize(("words", "key"), [(["--key", "dev,sector"], ("dev", "sector")), (["--key", "dev"], "dev")])
def test_the_options_reach_the_library(rtrace: Call, requests: Prepare, words: list[str], key: Any) -> None:
    made = requests()
    words += ["-p", "1", "-t", "2", "--cgroup", "/", "--filter", "bytes > 3", "--min-latency", "1ms"]
    assert rtrace("disksnoop", *words)[0] == 0
    options = made[0].options
    assert {name: options[name] for name in ("key", "pid", "tid", "cgroup", "filter", "min_latency", "tool")} == {
        "key": key, "pid": 1, "tid": 2, "cgroup": "/", "filter": "bytes > 3", "min_latency": 0.001, "tool": "disksnoop",
    }  # fmt: skip
    assert " -> ".join(options["targets"]) == TARGET


@pytest.mark.parametrize(
    "words",
    [["--key", "sector"], ["--wall"], ["a:b"], ["--json", "--csv"], ["1"], ["--by", "dev"]],
)
def test_wrong_words(rtrace: Call, requests: Prepare, words: list[str]) -> None:
    made = requests(make_events(1))
    status, out, err = rtrace("disksnoop", *words)
    assert (status, out, made) == (2, "", [])
    assert err.endswith("\nhint: `rtrace disksnoop --help` lists what it takes\n")
