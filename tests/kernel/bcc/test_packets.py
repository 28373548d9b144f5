"""Packet headers of the dialect: every member where the network has it, in socket buffers and in memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from typing import TYPE_CHECKING, Any

import pytest

from rtrace.bcc import BPF
from tests.kernel.program_run import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator

# Members and their widths in bits, in the order of the network.
HEADERS = {
    "ethernet_t": "dst:48 src:48 type:16",
    "dot1q_t": "pri:3 cfi:1 vlanid:12 type:16",
    "arp_t": "htype:16 ptype:16 hlen:8 plen:8 oper:16 sha:48 spa:32 tha:48 tpa:32",
    "ip_t": "ver:4 hlen:4 tos:8 tlen:16 identification:16 ffo_unused:1 df:1 mf:1 foffset:13 ttl:8 nextp:8 "
    "hchecksum:16 src:32 dst:32",
    "ip6_t": "ver:4 priority:8 flow_label:20 payload_len:16 next_header:8 hop_limit:8 src_hi:64 src_lo:64 dst_hi:64 "
    "dst_lo:64",
    "icmp_t": "type:8 code:8 checksum:16",
    "icmp6_t": "type:8 code:8 checksum:16",
    "udp_t": "sport:16 dport:16 length:16 crc:16",
    "tcp_t": "src_port:16 dst_port:16 seq_num:32 ack_num:32 offset:4 reserved:4 flag_cwr:1 flag_ece:1 flag_urg:1 "
    "flag_ack:1 flag_psh:1 flag_rst:1 flag_syn:1 flag_fin:1 rcv_wnd:16 cksum:16 urg_ptr:16",
    "vxlan_t": "rsv1:4 iflag:1 rsv2:3 rsv3:24 key:24 rsv4:8",
    "own_t": "odd:5 whole:64 rest:3",
}
OWN = "#include <bcc/proto.h>\nstruct own_t { u64 odd:5; u64 whole:64; u64 rest:3; } BPF_PACKET_HEADER;"
# How programs get at a header behind so many bytes; the number for packets that are too short.
CONTEXTS = {
    "classifier": ("struct __sk_buff *skb", "u8 *cursor = 0;"),
    "xdp": ("struct xdp_md *ctx", "void *cursor = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;"),
}
SKIPPED = 14


def members(name: str) -> list[tuple[str, int, int]]:
    """Return name, first bit and width of each member."""
    pairs = [word.split(":") for word in HEADERS[name].split()]
    widths = [int(width) for _, width in pairs]
    firsts = itertools.accumulate(widths, initial=0)
    return [(member, first, width) for (member, _), first, width in zip(pairs, firsts, widths, strict=False)]


def load(text: str, kind: str) -> tuple[BPF, int]:
    b = BPF(text=f"{OWN}\nBPF_ARRAY(found, u64, 32);\n{text}")
    try:
        return b, b.load_func("f", BPF.XDP if kind == "xdp" else BPF.SCHED_CLS).fd
    except BaseException:
        b.close()
        raise


def program(kind: str, name: str, body: str) -> str:
    parameter, start = CONTEXTS[kind]
    check = f"if (cursor + sizeof(struct {name}) > end) return 0;" if kind == "xdp" else ""
    return f"""int f({parameter}) {{
        {start}
        if ({"cursor + 14 > end" if kind == "xdp" else "0"}) return 0;
        cursor_advance(cursor, {SKIPPED});
        {check}
        struct {name} *header = cursor_advance(cursor, sizeof(*header));
        {body}
        return 1;
    }}"""


@pytest.mark.parametrize("kind", CONTEXTS)
@pytest.mark.parametrize("name", HEADERS)
def test_every_member_is_read(name: str, kind: str) -> None:
    fields = members(name)
    bits = sum(width for *_, width in fields)
    known = random.Random(name).randbytes(bits // 8)  # noqa: S311  # any bytes that are not all the same
    body = "".join(f"{{ int k = {i}; u64 v = header->{m}; found.update(&k, &v); }}" for i, (m, *_) in enumerate(fields))
    b, function = load(program(kind, name, body), kind)
    with b:
        # Nothing behind the header is touched.
        assert run_program(function, bytes(SKIPPED) + known).result == 1
        number = int.from_bytes(known, "big")
        expected = [number >> (bits - first - width) & (1 << width) - 1 for _, first, width in fields]
        assert [b["found"][index].value for index in range(len(fields))] == expected
        if kind == "classifier":
            # Beyond the packet's end the program ends, and returns 0.
            assert run_program(function, bytes(SKIPPED) + known[:-1]).result == 0


@pytest.mark.parametrize("kind", CONTEXTS)
@pytest.mark.parametrize("name", ["ethernet_t", "ip_t", "tcp_t", "vxlan_t", "own_t"])
def test_every_member_is_written(name: str, kind: str) -> None:
    fields = members(name)
    bits = sum(width for *_, width in fields)
    choose = random.Random(name)  # noqa: S311
    values = [choose.getrandbits(width) for *_, width in fields]
    before = choose.randbytes(bits // 8)
    number = int.from_bytes(before, "big")
    body = ""
    # Every other one: what lies between stays.
    for (member, first, width), value in list(zip(fields, values, strict=True))[::2]:
        body += f"header->{member} = {value}ULL;"
        mask = ((1 << width) - 1) << (bits - first - width)
        number = number & ~mask | value << (bits - first - width)
    b, function = load(program(kind, name, body), kind)
    with b:
        ran = run_program(function, bytes(SKIPPED) + before)
    assert (ran.result, ran.data) == (1, bytes(SKIPPED) + number.to_bytes(bits // 8, "big"))


def test_members_of_the_same_name_are_those_of_their_own_structs() -> None:
    """Names say nothing; types do, through macros, casts and functions."""
    text = """
    struct inner { u64 a, b, c; };
    struct mine { struct inner src; u64 type; u8 key[8]; u64 dst[2]; };
    #define TYPE_OF(x) (x)->type
    static u64 source(struct __sk_buff *skb, const struct ethernet_t *e) { return e->src; }
    int f(struct __sk_buff *skb) {
        struct mine here = { .src = { 1, 2, 3 }, .type = 7, .dst = { 5, 6 } }, there = {}, *p = &here, *q = &there;
        u8 *cursor = 0;
        struct ethernet_t *ethernet = cursor_advance(cursor, sizeof(*ethernet));
        q->src = p->src;
        q->type = p->type;
        q->dst[1] = p->dst[1] + p->key[2];
        q->type += 10, q->type++;
        u64 values[] = { q->src.a, q->src.c, q->type, q->dst[1], sizeof(q->key), TYPE_OF(q), TYPE_OF(ethernet),
                         source(skb, ethernet), ((struct ip_t *)cursor)->ver, sizeof(ethernet->type) };
        #define KEEP(n) { int i = n; found.update(&i, &values[n]); }
        KEEP(0) KEEP(1) KEEP(2) KEEP(3) KEEP(4) KEEP(5) KEEP(6) KEEP(7) KEEP(8) KEEP(9)
        return 0;
    }"""
    b, function = load(text, "classifier")
    with b:
        run_program(function, bytes.fromhex("010203040506 0708090a0b0c 0800 45" + 19 * "00"))
        found = [b["found"][index].value for index in range(10)]
    assert found == [1, 3, 18, 6, 8, 18, 0x800, 0x0708090A0B0C, 4, 4]


HTTP = """
#include <bcc/proto.h>
BPF_ARRAY(seen, u64, 1);
int http_filter(struct __sk_buff *skb)
{
    u8 *cursor = 0;
    struct ethernet_t *ethernet = cursor_advance(cursor, sizeof(*ethernet));
    if (!(ethernet->type == 0x0800))
        goto DROP;
    struct ip_t *ip = cursor_advance(cursor, sizeof(*ip));
    if (ip->nextp != IPPROTO_TCP)
        goto DROP;
    u32 ip_header_length = ip->hlen << 2;
    if (ip_header_length < sizeof(*ip))
        goto DROP;
    void *options = cursor_advance(cursor, (ip_header_length - sizeof(*ip)));
    struct tcp_t *tcp = cursor_advance(cursor, sizeof(*tcp));
    seen.increment(0);
    u32 payload_offset = ETH_HLEN + ip_header_length + (tcp->offset << 2);
    if (ip->tlen - ip_header_length - (tcp->offset << 2) < 7 || tcp->dst_port != %d)
        goto DROP;
    char p[4];
    for (int i = 0; i < 4; i++)
        p[i] = load_byte(skb, payload_offset + i);
    if (p[0] == 'G' && p[1] == 'E' && p[2] == 'T')
        goto KEEP;
DROP:
    return 0;
KEEP:
    return -1;
}
"""


@pytest.mark.usefixtures("own_network")
def test_a_filter_for_requests_lets_exactly_those_through() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with BPF(text=HTTP % port) as b:
            function = b.load_func("http_filter", BPF.SOCKET_FILTER)
            BPF.attach_raw_socket(function, "lo")
            with socket.socket(fileno=os.dup(function.sock)) as raw:
                raw.settimeout(0)
                requests = [b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(11)]
                for data in (b"POST / HTTP/1.1\r\n\r\n", *requests, b"GET", b"something else"):
                    exchange(server, data)
                received = list(everything(raw))
            assert b["seen"][0].value > 14
    # The loopback interface shows each packet as it goes out and as it comes in.
    bodies = [packet[packet.index(b"GET") :] for packet in received]
    assert bodies == [request for request in requests for _ in range(2)]


def exchange(server: socket.socket, data: bytes) -> None:
    """Send data over a connection of its own, which goes in one packet."""
    with socket.create_connection(server.getsockname()) as there:
        here, _ = server.accept()
        with here:
            there.sendall(data)
            assert here.recv(64) == data


def everything(raw: Any) -> Iterator[bytes]:
    """Receive until nothing is left."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield raw.recv(2048)
