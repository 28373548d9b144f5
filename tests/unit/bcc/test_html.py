"""Tables and BPF objects as notebooks show them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from rtrace._rtrace import ObjectSpec, compile_c
from rtrace.bcc.bpf_html import bpf_html
from rtrace.bcc.tables.make import make
from tests.unit.bcc.descriptions import CHAR, S32, U8, U16, U32, U64, U128, array, member, struct
from tests.unit.bcc.fake_map import FakeMap, owner

if TYPE_CHECKING:
    from rtrace.bcc.tables.base import TableBase

PROGRAM = """
struct event { u32 pid; char comm[16]; };
struct slot_key { char comm[16]; u64 slot; };
BPF_HASH(counts, u32);
BPF_HISTOGRAM(plain);
BPF_HISTOGRAM(split, struct slot_key);
BPF_TABLE("histogram", int, u64, named, 8);
BPF_ARRAY(no_histogram, u64, 64);
BPF_PERF_OUTPUT(events);
int probe(void *ctx)
{
    struct event event = {};
    events.perf_submit(ctx, &event, sizeof(event));
    return 0;
}
int other(void *ctx) { return 0; }
"""


def table(
    counts: dict[Any, Any], key_type: dict[str, Any] = U32, leaf_type: dict[str, Any] = U64, **facts: Any
) -> TableBase:
    """Return a table over a map in memory; of the facts, some are the BPF object's."""
    bpf = owner(histograms=facts.pop("histograms", ()), counts_powers=facts.pop("counts_powers", True))
    made = make(bpf, cast("Any", FakeMap(**facts)), {"key": key_type, "value": leaf_type, "event": None})
    found = cast("TableBase", made)
    for one, value in counts.items():
        found[one] = value
    return found


def shown(html: str) -> str:
    """Return the text, cells apart from each other."""
    html = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", html, flags=re.DOTALL)
    return re.sub(r"[|\s]+", "|", re.sub(r"<[^>]*>", "|", html)).strip("|")


def test_a_hash_shows_the_largest_first_and_how_much_it_leaves_out() -> None:
    made = table({key: key * 10 for key in range(30)})
    text = shown(made._repr_html_())
    assert text.startswith("fake|:|HashTable,|30|of|at|most|64|entries|key|value|29|290|28|280|")
    assert text.endswith("|10|100|and|9|more;|1|with|a|value|of|0")


def test_structs_have_a_column_for_each_member_and_texts_are_escaped() -> None:
    key = struct("key", 20, member("comm", 0, array(CHAR, 16)), member("pid", 16, U32))
    leaf = struct("leaf", 16, member("calls", 0, U64), member("bytes", 8, U64))
    html = table({(b"<i>\n", 7): (2, 8192)}, key, leaf, key=20, value=16)._repr_html_()
    assert shown(html).endswith("|comm|pid|calls|bytes|&lt;i&gt;\\n|7|2|8192")


def test_members_that_ctypes_hides_have_columns() -> None:
    either = struct("", 4, member("v4", 0, U32), member("port", 0, U16), kind="union")
    key = struct("key", 16, member("low", 0, U8, 4), member("far", 0.5, U64, 36), member("", 8, either))
    shown = table({(1, 2**35, 0x10002, 2): 3}, key, U128, key=16, value=16)._repr_html_()
    for text in ("low", "far", "v4", "port", str(2**35), str(0x10002)):
        assert f">{text}<" in shown
    assert "__pad" not in shown
    assert "_anonymous" not in shown


def test_a_per_cpu_table_shows_the_sum_as_well() -> None:
    made = table({3: [1, 0, 4, 0], 5: [9, 9, 9, 9]}, map_type=5)
    assert shown(made._repr_html_()).endswith("|key|sum|by|CPU|5|36|9,|9,|9,|9|3|5|1,|0,|4,|0")


def test_an_empty_array_says_so() -> None:
    made = table({}, map_type=2, entries=8)
    assert shown(made._repr_html_()) == "fake|:|Array,|8|of|at|most|8|entries|8|with|a|value|of|0"


def test_a_histogram_shows_itself_as_bars() -> None:
    made = table({3: 6, 5: 3}, S32, map_type=2, histograms=["fake"])
    html = made._repr_html_()
    assert html.count('class="bar"') == 3
    assert "<title>4 to 8: 6 counts, 66.67%</title>" in html
    assert "value, log2 buckets" in html
    assert shown(html) == "fake|:|9|counted,|log2|buckets|counts|p50|p90|p99|9|4|to|8|16|to|32|16|to|32"
    assert "a histogram that has counted nothing yet" in table({}, map_type=2, histograms=["fake"])._repr_html_()


def test_a_histogram_of_values_has_a_bar_for_each() -> None:
    html = table({3: 6, 5: 3}, S32, map_type=2, histograms=["fake"], counts_powers=False)._repr_html_()
    assert "<title>3: 6 counts, 66.67%</title>" in html
    assert "value, a bucket each" in html
    assert shown(html) == ("fake|:|9|counted,|a|bucket|for|each|value|counts|p50|p90|p99|9|3|5|5")


def test_a_split_histogram_has_a_row_for_each_section() -> None:
    key = struct("key", 24, member("comm", 0, array(CHAR, 16)), member("slot", 16, U64))
    made = table({(b"dd", 3): 1, (b"cat", 3): 2, (b"cat", 4): 2}, key, key=24, histograms=["fake"])
    assert shown(made._repr_html_()) == (
        "fake|:|5|counted|in|2|sections,|log2|buckets|comm|counts|p50|p90|p99|"
        "cat|4|4|to|8|8|to|16|8|to|16|dd|1|4|to|8|4|to|8|4|to|8"
    )


def test_a_histogram_by_another_kind_of_key_is_a_table() -> None:
    key = struct("key", 24, member("slot", 0, U64), member("comm", 8, array(CHAR, 16)))
    made = table({(3, b"dd"): 7}, key, key=24, histograms=["fake"])
    assert shown(made._repr_html_()).endswith("|slot|comm|value|3|dd|7")


def test_histograms_are_known_from_the_object() -> None:
    assert ObjectSpec.parse(compile_c(PROGRAM), "<text>").histograms == ["named", "plain", "split"]
    assert ObjectSpec.prebuilt("function_latency").histograms == []


def bpf(**facts: Any) -> Any:
    """Return what stands for a loaded object."""
    types = {"counts": 1, "events": 4, "named": 2, "no_histogram": 2, "plain": 2, "split": 1}
    links = [SimpleNamespace(program="probe", kind="kprobe", target=target) for target in ("vfs_<read>", "vfs_write")]
    return SimpleNamespace(
        closed=facts.get("closed", False),
        missed=lambda: facts.get("missed", 0),
        readers=SimpleNamespace(losses=lambda: facts.get("losses", {})),
        loaded=SimpleNamespace(links=SimpleNamespace(all=lambda: [] if facts.get("closed") else links)),
        native=SimpleNamespace(map=lambda name: SimpleNamespace(map_type=types[name])),
    )


def test_a_bpf_object_shows_programs_links_and_maps() -> None:
    spec = ObjectSpec.parse(compile_c(PROGRAM), "<text>")
    text = shown(bpf_html(bpf(), spec))
    assert text.startswith(
        "BPF|:|2|programs,|6|maps|program|attached|to|other|nothing|yet|probe|kprobe|vfs_&lt;read&gt;,|kprobe|vfs_write|"
    )
    assert "|counts|HashTable|u32|u64|10,240|" in text
    assert "|events|PerfEventArray|struct|event|{pid,|comm}|" in text
    assert "|plain|Array,|histogram|s32|u64|64|" in text
    assert "|split|HashTable,|histogram|struct|slot_key|{comm,|slot}|u64|64" in text


def test_a_bpf_object_shows_what_is_missing() -> None:
    spec = ObjectSpec.parse(compile_c(PROGRAM), "p.c")
    html = bpf_html(bpf(missed=3, losses={"events": 1}), spec)
    assert '<div class="lost" role="alert">lost: 3 calls that probes missed</div>' in html
    assert '<div class="lost" role="alert">lost: 1 event of events (the buffer was full)</div>' in html


def test_a_closed_one_says_so() -> None:
    spec = ObjectSpec.parse(compile_c(PROGRAM), "p.c")
    text = shown(bpf_html(bpf(closed=True), spec))
    assert text.startswith("BPF|p.c|:|2|programs,|6|maps;|closed:|nothing|is|attached,|and|the|maps|are|gone|")
