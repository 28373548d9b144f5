"""Kinds of programs, and sections by names that the parser of objects does not know."""

from __future__ import annotations

import struct

import pytest

from rtrace import ObjectSpec

# Two instructions: r0 = 0; exit.
CODE = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)


def elf(sections: dict[str, str]) -> bytes:
    """Return an object with one program for each section: names of sections and of their programs."""
    strings = b"\0"
    places: dict[str, int] = {}
    for name in (*sections, *sections.values(), ".strtab", ".symtab"):
        places.setdefault(name, len(strings))
        strings += name.encode() + b"\0"
    count = len(sections)
    symbols = bytes(24)
    for index, function in enumerate(sections.values(), 1):
        symbols += struct.pack("<IBBHQQ", places[function], 0x12, 0, index, 0, len(CODE))
    contents = [CODE] * count + [symbols, strings]
    body, positions = b"", []
    for content in contents:
        positions.append(64 + len(body))
        body += content + bytes(-len(content) % 8)
    headers = bytes(64)
    for name, position in zip(sections, positions, strict=False):
        headers += struct.pack("<IIQQQQIIQQ", places[name], 1, 6, 0, position, len(CODE), 0, 0, 8, 0)
    headers += struct.pack(
        "<IIQQQQIIQQ", places[".symtab"], 2, 0, 0, positions[count], len(symbols), count + 2, 1, 8, 24
    )
    headers += struct.pack("<IIQQQQIIQQ", places[".strtab"], 3, 0, 0, positions[count + 1], len(strings), 0, 0, 1, 0)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 1, 247, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, count + 3, count + 2)
    return identity + header + body + headers


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("kprobe/vfs_read", "kprobe"),
        ("kretprobe", "kretprobe"),
        ("uprobe/x", "uprobe"),
        ("uretprobe", "uretprobe"),
        ("tracepoint/sched/sched_switch", "tracepoint"),
        ("raw_tp/sys_enter", "raw tracepoint"),
        ("tp_btf/sys_enter", "btf tracepoint"),
        ("perf_event", "perf event"),
        ("fentry/vfs_read", "fentry"),
        ("fexit.s/vfs_read", "fexit"),
        ("fmod_ret/x", "fmod_ret"),
        ("fmod_ret.s/x", "fmod_ret"),
        ("lsm/file_open", "lsm"),
        ("xdp", "xdp"),
        ("xdp/my_program", "xdp"),
        ("xdp/devmap", "xdp/devmap"),
        ("socket", "socket"),
        ("socket_filter/x", "socket"),
        ("tc", "classifier"),
        ("sched_cls", "classifier"),
        ("classifier/x", "classifier"),
        ("action", "action"),
        ("sk_msg", "sk_msg"),
        ("sk_skb/stream_verdict", "sk_skb/stream_verdict"),
        ("sk_skb/x", "sk_skb"),
        ("sockops", "sockops"),
        ("cgroup_skb/egress", "cgroup_skb/egress"),
        ("cgroup/skb", "cgroup/skb"),
        ("cgroup/connect4", "cgroup/connect4"),
        ("cgroup/sock", "cgroup/sock_create"),
        ("cgroup/dev", "cgroup/dev"),
        ("lwt_xmit", "lwt_xmit"),
    ],
)
def test_a_section_says_what_its_programs_are(section: str, kind: str) -> None:
    assert ObjectSpec.parse(elf({section: "program"}), "made").programs == {"program": kind}


def test_sections_and_functions_of_one_name_stay_apart() -> None:
    sections = {"tc": "tc", "action": "action", "xdp/one": "one", "xdp/two": "two", "kprobe/x": "x"}
    assert ObjectSpec.parse(elf(sections), "made").programs == {
        "tc": "classifier",
        "action": "action",
        "one": "xdp",
        "two": "xdp",
        "x": "kprobe",
    }
