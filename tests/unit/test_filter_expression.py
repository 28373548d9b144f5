"""Filters: what they mean, compared with Python, and what they may not be."""

from __future__ import annotations

import operator
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from rtrace._rtrace import filter_matches, parse_filter, parse_format

FIELDS = [
    ("unsigned short common_type", 0, 2, 0),
    ("int common_pid", 4, 4, 1),
    ("dev_t dev", 8, 4, 0),
    ("int ret", 12, 4, 1),
    ("u64 sector", 16, 8, 0),
    ("long state", 24, 8, 1),
    ("u8 small", 32, 1, 0),
    ("s8 tiny", 33, 1, 1),
    ("bool sync", 34, 1, 0),
    ("short level", 36, 2, 1),
    ("void * where", 40, 8, 0),
    ("char rwbs[8]", 48, 8, 1),
    ("char path[24]", 56, 24, 0),
    ("__data_loc char[] name", 80, 4, 0),
    ("__rel_loc char[] other", 84, 4, 0),
    ("u32 many[4]", 88, 16, 0),
    ("struct blob blob", 104, 12, 0),
]
LINES = [f"\tfield:{text};\toffset:{at};\tsize:{size};\tsigned:{sign};\n" for text, at, size, sign in FIELDS]
FORMAT = f'name: x\nID: 1\nformat:\n{"".join(LINES)}\nprint fmt: ""\n'
DTYPE: np.dtype[Any] = parse_format(FORMAT)["dtype"]
NUMBERS = {"dev": "u4", "ret": "i4", "sector": "u8", "state": "i8", "small": "u1", "tiny": "i1", "level": "i2"}
HEADER = ("pid", "tid", "cpu")
ORDERS = ("==", "!=", "<", "<=", ">", ">=")
LETTERS = st.text("abW", max_size=4)


def numbers_of(kind: str) -> st.SearchStrategy[int]:
    """Draw from a type's range, and often from few values, so that comparisons meet."""
    limits = np.iinfo(kind)
    few = [value for value in (-1, 0, 1, 2, int(limits.min), int(limits.max)) if limits.min <= value <= limits.max]
    return st.sampled_from(few) | st.integers(int(limits.min), int(limits.max))


@st.composite
def leaves(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a condition, in rtrace's words and in Python's."""
    if draw(st.booleans()):
        name = draw(st.sampled_from([*NUMBERS, *HEADER]))
        value = draw(numbers_of(NUMBERS.get(name, "u4")))
        written = hex(value) if draw(st.booleans()) else str(value)
        if draw(st.integers(0, 4)) == 0:
            return f"{name} & {written}", f"({name} & {value}) != 0"
        order = draw(st.sampled_from(ORDERS))
        return f"{name}{order}{written}", f"{name} {order} {value}"
    name = draw(st.sampled_from(["rwbs", "path", "name", "other", "comm"]))
    value_text = draw(LETTERS)
    quote = draw(st.sampled_from("'\""))
    match draw(st.integers(0, 2)):
        case 0:
            return f"{name} == {quote}{value_text}{quote}", f"{name} == {value_text!r}"
        case 1:
            return f"{name}!={quote}{value_text}{quote}", f"{name} != {value_text!r}"
        case _:
            return f"{name} ~ {quote}{value_text}*{quote}", f"{name}.startswith({value_text!r})"


def branches(inner: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    def join(parts: list[tuple[str, str]], word: str, sign: str) -> tuple[str, str]:
        # Without brackets on one side: that `and` binds tighter has to come out right, too.
        return f" {sign} ".join(part for part, _ in parts), f" {word} ".join(part for _, part in parts)

    several = st.lists(inner, min_size=2, max_size=3)
    signs = st.sampled_from([("and", "and"), ("and", "&&"), ("or", "or"), ("or", "||")])
    joined = st.builds(lambda parts, pair: join(parts, *pair), several, signs)
    bracketed = inner.map(lambda pair: (f"({pair[0]})", f"({pair[1]})"))
    negated = st.builds(
        lambda pair, word: (f"{word}({pair[0]})", f"not ({pair[1]})"), inner, st.sampled_from(["not ", "!", "! not !"])
    )
    return joined | bracketed | negated


EXPRESSIONS = st.recursive(leaves(), branches, max_leaves=7)


@st.composite
def events(draw: st.DrawFn) -> tuple[bytes, dict[str, int], dict[str, str]]:
    """Draw a record, the numbers in it and of its header, and the texts."""
    numbers = {name: draw(numbers_of(kind)) for name, kind in NUMBERS.items()}
    texts = {name: draw(LETTERS) for name in ("rwbs", "path", "name", "other", "comm")}
    record = np.zeros(1, DTYPE)
    for name, value in [*numbers.items(), ("rwbs", texts["rwbs"]), ("path", texts["path"])]:
        record[name] = value
    tails = [texts[name].encode() + b"\0" for name in ("name", "other")]
    record["name"] = len(tails[0]) << 16 | DTYPE.itemsize
    record["other"] = len(tails[1]) << 16 | DTYPE.itemsize + len(tails[0]) - 88
    numbers |= {name: draw(numbers_of("u4")) for name in HEADER}
    return record.tobytes() + b"".join(tails), numbers, texts


def is_limit(error: ValueError) -> bool:
    return re.search(r"column \d+: more than \d", str(error)) is not None


def holds(condition: dict[str, Any], record: bytes, numbers: dict[str, int], texts: dict[str, str]) -> bool:
    """Evaluate one condition from nothing but its table entry, as a program in the kernel does."""
    name, how, value = condition["field"], condition["operator"], condition["value"]
    if isinstance(value, bytes):
        if condition["place"] == "record":
            start = condition["offset"]
            found = record[start : start + condition["size"]]
        elif condition["place"] == "located":
            start = condition["offset"]
            word = int.from_bytes(record[start : start + 4], "little")
            start = (word & 0xFFFF) + (start + 4 if condition["relative"] else 0)
            found = record[start : start + (word >> 16)]
        else:
            found = texts[name].encode()
        found = found.partition(b"\0")[0]
        same = found.startswith(value) if how.endswith("~") else found == value
        return bool(same != how.startswith("!"))
    if condition["place"] == "record":
        bytes_of = record[condition["offset"] : condition["offset"] + condition["size"]]
        number = int.from_bytes(bytes_of, "little", signed=condition["signed"])
    else:
        number = numbers[name]
    if how.endswith("&"):
        return bool((number & value != 0) != how.startswith("!"))
    orders = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
    return bool(dict(zip(ORDERS, orders, strict=True))[how](number, value))


@settings(max_examples=400, deadline=None)
@given(expression=EXPRESSIONS, event=events())
def test_filters_mean_what_python_means(
    expression: tuple[str, str], event: tuple[bytes, dict[str, int], dict[str, str]]
) -> None:
    text, python = expression
    record, numbers, texts = event
    try:
        alternatives = parse_filter(text, FORMAT)
    except ValueError as error:
        assert is_limit(error), error
        reject()
    expected = bool(eval(python, {**numbers, **texts}))  # noqa: S307 (written by this test)
    header: dict[str, Any] = {name: numbers[name] for name in HEADER}
    assert filter_matches(text, FORMAT, record, **header, comm=texts["comm"].encode()) == expected
    by_table = any(all(holds(one, record, numbers, texts) for one in conditions) for conditions in alternatives)
    assert by_table == expected
    assert 1 <= len(alternatives) <= 4
    assert all(1 <= len(conditions) <= 8 for conditions in alternatives)
    for condition in (condition for conditions in alternatives for condition in conditions):
        assert not isinstance(condition["value"], bytes) or len(condition["value"]) <= 16


@settings(max_examples=400, deadline=None)
@given(
    text=st.text()
    | st.lists(
        st.sampled_from([*"()!&~<>'\"*-", "and", "or", "not", "==", "dev", "rwbs", "pid", "0x1f", "12", "'W*'", " "])
    ).map(" ".join)
)
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        alternatives = parse_filter(text, FORMAT)
    except ValueError as error:
        assert re.search(r"`: column \d+: ", str(error))
    else:
        assert alternatives


def test_a_condition_as_the_program_gets_it() -> None:
    assert parse_filter("ret == -2 and comm == 'dd' or not other ~ 'W*'", FORMAT) == [
        [
            {
                "field": "ret",
                "place": "record",
                "offset": 12,
                "relative": False,
                "size": 4,
                "signed": True,
                "operator": "==",
                "value": -2,
            },
            {
                "field": "comm",
                "place": "comm",
                "offset": None,
                "relative": False,
                "size": 16,
                "signed": False,
                "operator": "==",
                "value": b"dd",
            },
        ],
        [
            {
                "field": "other",
                "place": "located",
                "offset": 84,
                "relative": True,
                "size": 16,
                "signed": False,
                "operator": "!~",
                "value": b"W",
            }
        ],
    ]


def test_a_field_of_the_record_comes_before_the_header() -> None:
    lines = "\tfield:int pid;\toffset:8;\tsize:4;\tsigned:1;\n"
    [[condition]] = parse_filter("pid == -1", f"name: x\nID: 1\nformat:\n{lines}print fmt: \n")
    assert (condition["place"], condition["offset"], condition["value"]) == ("record", 8, -1)


def test_no_condition_holds_on_what_is_not_there() -> None:
    assert not filter_matches("dev == 0 or not dev == 0 or dev & 1", FORMAT, b"")
    assert not filter_matches("name == '' or name != ''", FORMAT, b"\xff" * 84)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "column 1: expected the name of a field, `not` or `(`, not the end"),
        ("dve == 1", "column 1: no field `dve`; did you mean `dev`?"),
        ("nothing_like_it == 1", "column 1: no field `nothing_like_it`"),
        ("many == 1", "column 1: `many` cannot be filtered on: it has many values"),
        ("blob == 1", "column 1: `blob` cannot be filtered on: its bytes have no known meaning"),
        ("common_type == 1", "column 1: `common_type` cannot be filtered on: the kernel hides it from programs"),
        ("dev == 1 and rwbs == 1", "column 22: `rwbs` is text; compare it with text"),
        ("dev == 'x'", "column 8: `dev` is a number; compare it with a number"),
        ("comm < 'x'", "column 6: `<` does not work on text like `comm`"),
        ("small == 256", "column 10: 256 does not fit `small`, which goes from 0 to 255"),
        ("rwbs == 'too long!'", "column 9: text of 9 bytes does not fit `rwbs`; 8 do"),
        ("rwbs ~ 'W*S'", "column 8: of patterns, only a `*` at the end is supported"),
        ("rwbs == 'x", "column 9: the text never ends"),
        ("dev == 1 dev == 2", "column 10: expected `and`, `or` or the end, not `dev`"),
        (" or ".join(f"dev == {n}" for n in range(5)), "column 46: more than 4 alternatives, once every `or` is on "),
        (" and ".join(f"dev != {n}" for n in range(9)), "column 101: more than 8 conditions in one alternative"),
        ("!" * 40 + "dev == 1", "column 33: more than 32 brackets and negations within each other"),
    ],
)
def test_errors_say_column_and_cause(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^parse filter `{re.escape(expression)}`: {re.escape(message)}"):
        parse_filter(expression, FORMAT)


LONG_NAMES = [text.split(" ")[-1].partition("[")[0] for text, *_ in FIELDS[4:]]


@settings(deadline=None)
@given(
    name=st.sampled_from([name for name in LONG_NAMES if len(name) >= 4]),
    place=st.integers(0, 3),
    letter=st.sampled_from("qxz_7"),
    slip=st.sampled_from(["replaced", "left out", "added", "swapped"]),
)
def test_a_name_with_a_slip_is_a_near_match(name: str, place: int, letter: str, slip: str) -> None:
    start, found, end = name[:place], name[place], name[place + 1 :]
    if slip == "swapped":
        wrong = start + end[:1] + found + end[1:]
    else:
        wrong = start + {"replaced": letter, "left out": "", "added": letter + found}[slip] + end
    if wrong == name or not wrong.isidentifier() or wrong == "or":
        reject()
    with pytest.raises(ValueError, match=rf": column 13: no field `{wrong}`; did you mean .*`{name}`.*\?$"):
        parse_filter(f"dev == 1 && {wrong} == 1", FORMAT)


@pytest.mark.parametrize("expression", ["dev == 1", "dev != 0 && !(bytes < 4096 || comm == 'dd')", "rwbs ~ 'W*'"])
def test_filters_for_a_real_tracepoint(expression: str) -> None:
    text = Path("tests/data/formats/block_rq_issue.format").read_text()
    assert parse_filter(expression, text)
