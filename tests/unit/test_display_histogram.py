"""What a histogram looks like: bcc's text to the character, HTML and plot."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtrace.display.log2_text import format_linear, format_log2, format_section
from rtrace.display.wording import format_losses, format_range, format_time, percentile_marks
from rtrace.histogram import Histogram
from tests.unit.html_page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

HOSTILE = "<script>alert('x')</script>&\""


def make(slots: dict[int, int], **facts: Any) -> Histogram:
    counts = np.zeros(64, np.uint64)
    for slot, count in slots.items():
        counts[slot] = count
    return Histogram(**{"counts": counts, "sum_ns": 1000, "unit": "us", "target": "vfs_read", **facts})


def split(parts: dict[Any, dict[int, int]], by: str = "comm", **facts: Any) -> Histogram:
    groups = {key: make(slots) for key, slots in parts.items()}
    counts = sum((group.counts for group in groups.values()), np.zeros(64, np.uint64))
    return make({}, by=by, groups=groups, **{"counts": counts, "sum_ns": 1000 * len(groups), **facts})


# Recorded from bcc 0.26's own function.
BCC_NARROW = """\
     usecs               : count     distribution
         0 -> 1          : 4457     |****************************************|
         2 -> 3          : 447      |****                                    |
         4 -> 7          : 2059     |******************                      |
         8 -> 15         : 1179     |**********                              |
        16 -> 31         : 63       |                                        |
        32 -> 63         : 0        |                                        |
        64 -> 127        : 2        |                                        |"""


def test_narrow_layout() -> None:
    assert str(make({0: 4457, 1: 447, 2: 2059, 3: 1179, 4: 63, 6: 2})) == BCC_NARROW


def test_only_slot_0() -> None:
    assert str(make({0: 5}, unit="ns")) == (
        "     nsecs               : count     distribution\n"
        "         0 -> 1          : 5        |****************************************|"
    )


def test_single_bucket_keeps_leading_rows() -> None:
    assert str(make({2: 7}, unit="ms")) == (
        "     msecs               : count     distribution\n"
        "         0 -> 1          : 0        |                                        |\n"
        "         2 -> 3          : 0        |                                        |\n"
        "         4 -> 7          : 7        |****************************************|"
    )


def test_last_narrow_and_first_wide_slot() -> None:
    narrow = str(make({31: 1})).splitlines()
    assert len(narrow) == 33
    assert narrow[-1] == "2147483648 -> 4294967295 : 1        |****************************************|"
    wide = str(make({0: 1, 32: 2}, unit="s")).splitlines()
    assert wide[0] == "               secs                          : count     distribution"
    assert wide[1] == "                   0 -> 1                    : 1        |**********          |"
    assert wide[-1] == "          4294967296 -> 8589934591           : 2        |********************|"


def test_last_slot() -> None:
    last = str(make({63: 1})).splitlines()[-1]
    assert last == " 9223372036854775808 -> 18446744073709551615 : 1        |********************|"


def test_empty_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    make({}).print()
    assert capsys.readouterr().out == ""
    assert str(make({})) == ""


def test_print_goes_to_standard_output_or_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    hist = make({0: 4457, 1: 447, 2: 2059, 3: 1179, 4: 63, 6: 2})
    hist.print()
    assert capsys.readouterr().out == BCC_NARROW + "\n"
    file = io.StringIO()
    hist.print(file)
    assert file.getvalue() == BCC_NARROW + "\n"


def test_losses_are_never_silent(capsys: pytest.CaptureFixture[str]) -> None:
    losses = {"starts_not_stored": 2, "returns_missed": 1, "other": 0}
    footer = "lost: 3 calls (2 starts not stored, 1 return missed)"
    assert str(make({0: 1}, losses=losses)).splitlines()[-1] == footer
    make({}, losses=losses).print()
    assert capsys.readouterr().out == footer + "\n"
    make({}, losses=losses).print(footer=False)
    assert capsys.readouterr().out == ""
    assert "lost" not in str(make({0: 1}, losses={"other": 0}))


def test_groups_print_as_sections() -> None:
    hist = split({7: {0: 1}, 1234: {1: 2}}, by="pid", losses={"returns_missed": 1})
    assert str(hist) == (
        "\n"
        "pid = 1234\n"
        "     usecs               : count     distribution\n"
        "         0 -> 1          : 0        |                                        |\n"
        "         2 -> 3          : 2        |****************************************|\n"
        "\n"
        "pid = 7\n"
        "     usecs               : count     distribution\n"
        "         0 -> 1          : 1        |****************************************|\n"
        "lost: 1 call (1 return missed)"
    )


def test_section_cannot_drive_the_terminal() -> None:
    assert format_section("comm", "a\x1b[2J\nb\u202e é") == "\ncomm = a\\x1b[2J\\nb\\u202e é"


def test_log2_as_bcc_numbers_it() -> None:
    assert format_log2([9] + [0] * 64) == ""
    assert format_log2([]) == ""
    # Slot 0 is not shown but does set the scale.
    assert format_log2([8, 4], "value").endswith(" : 4        |********************                    |")
    assert format_log2([0, 0, 0, 3, 0, 3], strip_leading_zero=True).count("\n") == 3
    assert format_log2(np.array([0, 1], np.uint64)).endswith("|" + "*" * 40 + "|")


def test_linear() -> None:
    assert format_linear([]) == format_linear([0, 0]) == ""
    assert format_linear([3, 0, 1], "kbytes") == (
        "     kbytes        : count     distribution\n"
        "        0          : 3        |****************************************|\n"
        "        1          : 0        |                                        |\n"
        "        2          : 1        |*************                           |"
    )
    assert format_linear([0, 0, 1], strip_leading_zero=True).count("\n") == 1


def test_repr() -> None:
    hist = make({2: 10}, mechanism="kprobe")
    assert repr(hist) == "<Histogram vfs_read mechanism=kprobe total=10 p50=4..8 us lost=0>"
    assert repr(make({}, losses={"x": 2})) == "<Histogram vfs_read mechanism= total=0 lost=2>"
    assert "by=comm groups=1 lost=0>" in repr(split({"cat": {0: 1}}))


def test_wording() -> None:
    assert format_losses({"returns_missed": 1}) == "lost: 1 call (1 return missed)"
    times = [(1, "us"), (999.9, "ns"), (999.4, "ns"), (1100, "s"), (7200, "s"), (86_400, "s"), (0, "s")]
    assert [format_time(*time) for time in times] == ["1 µs", "1 µs", "999 ns", "18.3 min", "2 h", "1 d", "0"]
    assert format_range(0, 2, "ns") == "0 to 2 ns"
    marks = percentile_marks(make({0: 50, 1: 40, 9: 10}), reach=2)
    assert [tuple(mark) for mark in marks] == [(0, "p50", 0), (1, "p90", 1), (9, "p99", 0)]
    assert [mark.label for mark in percentile_marks(make({3: 1}), reach=2)] == ["p50 p90 p99"]


def test_html_escapes_everything() -> None:
    facts = dict.fromkeys(("target", "tool", "mechanism", "boundary", "host", "kernel"), HOSTILE)
    group = make({0: 1}, target=HOSTILE)
    hist = make(
        {0: 1}, **facts, by=HOSTILE, groups={HOSTILE: group}, losses={HOSTILE: 1}, options={HOSTILE: HOSTILE}
    )  # fmt: skip
    html = hist._repr_html_()
    assert HOSTILE not in html
    page = Page(html)
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 10


def test_html_shows_the_numbers() -> None:
    page = Page(make({0: 50, 2: 45, 5: 5}, losses={"returns_missed": 3})._repr_html_())
    assert page.tags.count("rect") == 6
    for text in ("vfs_read", "100 calls", "lost: 3 calls (3 returns missed)", "p50", "4 to 8 µs: 45 calls, 45.00%"):
        assert text in page.text


def test_html_is_self_contained_and_themed() -> None:
    html = make({0: 1, 40: 2})._repr_html_()
    assert not re.search(r"https?:|url\(|@import|<link|<img|src=", html)
    assert "currentColor" in html
    assert "NaN" not in html


@pytest.mark.parametrize(
    "slots", [{}, {63: 1}, {0: 1}, {0: 1, 63: 2**64 - 1}, {5: 1, 6: 1, 7: 1}, dict.fromkeys(range(64), 9)]
)
def test_html_of_odd_shapes(slots: dict[int, int]) -> None:
    html = make(slots)._repr_html_()
    assert "lost: 0 calls" in Page(html).text
    assert not re.search(r'="[^"]*\b(nan|inf)\b', html)


def test_html_marks_buckets_and_not_points() -> None:
    html = make({0: 50, 2: 40, 5: 10})._repr_html_()
    assert "<title>p50: 0 to 2 µs</title>" in html
    assert "<title>p99: 32 to 64 µs</title>" in html


def test_html_follows_the_theme_of_the_notebook_before_that_of_the_system() -> None:
    """A light page on a dark system: only where the page has no theme of its own is the system asked."""
    style = make({0: 1})._repr_html_().partition("</style>")[0]
    assert "--rtrace-bar: var(--jp-brand-color1, var(--vscode-charts-blue, var(--rtrace-blue)))" in style
    dark = style.partition("prefers-color-scheme: dark")[2].partition("}")[0]
    assert "--rtrace-blue" in dark
    assert "--rtrace-bar" not in dark


def test_without_html_the_bars_are_shown() -> None:
    hist = make({0: 1})
    assert hist._repr_mimebundle_(include=None, exclude=None) == {"text/plain": str(hist)}
    assert make({})._repr_mimebundle_() == {"text/plain": repr(make({}))}


def test_html_limits_groups() -> None:
    page = Page(split({pid: {1: 1} for pid in range(100, 125)}, by="pid")._repr_html_())
    assert "and 15 more" in page.text


def heights(ax: Axes) -> list[float]:
    return [bar.get_height() for container in ax.containers for bar in container]


class TestPlot:
    """The matplotlib axes."""

    @pytest.fixture(autouse=True)
    def _headless(self) -> Iterator[None]:
        pytest.importorskip("matplotlib").use("Agg")
        import matplotlib.pyplot as plt

        yield
        plt.close("all")

    def test_new_axes(self) -> None:
        ax = make({1: 50, 3: 49, 7: 1}, losses={"returns_missed": 2}, mechanism="kprobe").plot()
        assert ax.get_title() == "vfs_read latency: 100 calls (kprobe)\nlost: 2 calls (2 returns missed)"
        assert heights(ax) == [50, 49, 1]
        assert [text.get_text() for text in ax.texts] == ["p50", "p90 p99"]
        assert [tick.get_text() for tick in ax.get_xticklabels()][:2] == ["2 µs", "4 µs"]
        ax.figure.canvas.draw()

    def test_given_axes(self) -> None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots()
        assert make({1: 5}).plot(ax) is ax

    def test_groups_are_stacked(self) -> None:
        hist = split({f"${key}$": {0: 10 - key, 1: 1} for key in range(8)})
        ax = hist.plot()
        legend = ax.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()][-2:] == [r"\$4\$", "3 more"]
        assert sum(heights(ax)) == hist.total
        ax.figure.canvas.draw()

    def test_empty(self) -> None:
        assert "no calls were counted" in [text.get_text() for text in make({}).plot().texts]
        assert "no calls were counted" in [text.get_text() for text in make({}).plot_comparison(make({})).texts]

    def test_comparison_is_in_percent(self) -> None:
        before, after = make({1: 30, 3: 10}), make({3: 1, 7: 1}, losses={"returns_missed": 2})
        ax = before.plot_comparison(after, labels=("$before$", "after"))
        assert heights(ax) == [75, 0, 25, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0, 50]
        assert ax.get_ylabel() == "share of the calls (%)"
        assert ax.get_xlabel() == "latency (log2 buckets of µs)"
        assert ax.get_title() == "latency of vfs_read\nafter: lost: 2 calls (2 returns missed)"
        legend = ax.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == [
            r"\$before\$: 40 calls, p50 2 to 4 µs", "after: 2 calls, p50 8 to 16 µs",
        ]  # fmt: skip
        # Told apart by more than their colour.
        assert {bar.get_hatch() for container in ax.containers for bar in container} == {"", "///"}
        ax.figure.canvas.draw()

    def test_comparison_with_nothing_and_of_two_units(self) -> None:
        assert heights(make({1: 5}).plot_comparison(make({}))) == [100, 0]
        with pytest.raises(ValueError, match="one is in us, the other in ms"):
            make({1: 5}).plot_comparison(make({1: 5}, unit="ms"))
        with pytest.raises(TypeError, match="compare histograms: 5 is none"):
            make({1: 5}).plot_comparison(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "package"), [("plot", "matplotlib.pyplot"), ("to_pandas", "pandas")])
def test_missing_package_says_how_to_install(method: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    name = package.partition(".")[0]
    with pytest.raises(ImportError, match=rf"{name} is not installed \(pip install {name}\)") as caught:
        getattr(make({0: 1}), method)()
    assert caught.value.name == name
