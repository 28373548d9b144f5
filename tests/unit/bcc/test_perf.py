"""Attributes of perf events are the kernel's struct, and nothing else."""

from __future__ import annotations

import ctypes as ct
from typing import Any

import pytest

from rtrace.bcc import Perf
from rtrace.bcc.perf import open_event

# As include/uapi/linux/perf_event.h has them, in bytes.
OFFSETS = {
    "type": 0, "size": 4, "config": 8, "sample_period": 16, "sample_freq": 16, "sample_type": 24, "read_format": 32,
    "wakeup_events": 48, "wakeup_watermark": 48, "bp_type": 52, "bp_addr": 56, "config1": 56, "bp_len": 64,
    "config2": 64, "branch_sample_type": 72, "sample_regs_user": 80, "sample_stack_user": 88, "clockid": 92,
    "sample_regs_intr": 96, "aux_watermark": 104, "sample_max_stack": 108, "aux_sample_size": 112, "sig_data": 120,
    "config3": 128,
}  # fmt: skip
BITS = {
    "disabled": 0, "inherit": 1, "exclude_user": 4, "exclude_kernel": 5, "exclude_hv": 6, "freq": 10, "precise_ip": 15,
    "mmap_data": 17, "exclude_callchain_kernel": 21, "write_backward": 27, "text_poke": 33, "sigtrap": 37,
}  # fmt: skip


def test_members_are_where_the_kernel_has_them() -> None:
    assert ct.sizeof(Perf.perf_event_attr) == 136
    for name, offset in OFFSETS.items():
        attributes: Any = Perf.perf_event_attr(size=0)
        setattr(attributes, name, 1)
        assert bytes(attributes).index(1) == offset, name
    for name, bit in BITS.items():
        attributes = Perf.perf_event_attr()
        setattr(attributes, name, 1)
        assert int.from_bytes(bytes(attributes)[40:48], "little") == 1 << bit, name
    attributes.precise_ip = 3
    assert attributes.precise_ip == 3


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'exclude_kernal'"):
        Perf.perf_event_attr().exclude_kernal = 1


def test_attributes_must_be_a_struct() -> None:
    with pytest.raises(TypeError, match="a Perf.perf_event_attr, not int"):
        open_event(-1, -1, 0)
