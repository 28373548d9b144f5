//! Tracepoint events: every hit of a tracepoint that passes the filters, as a record with the fields that were chosen.
#![no_std]
#![no_main]

use aya_ebpf::{
    EbpfContext, Global,
    btf_maps::{PerCpuArray, RingBuf},
    helpers::bpf_get_current_comm,
    macros::{btf_map, tracepoint},
    programs::TracePointContext,
};
use rtrace_common::{
    entry::{ALTERNATIVES, CONDITIONS, Condition, SEGMENTS, Segment},
    tracepoint_events::{EventLosses, EventsObserved, Header},
};
use rtrace_programs::{
    count, cpu,
    entry::Entry,
    filter, now_ns, ring,
    tasks::{Task, is_target},
};

#[unsafe(no_mangle)]
static FILTER: Global<filter::Table> = Global::new([Condition::NONE; ALTERNATIVES * CONDITIONS]);
#[unsafe(no_mangle)]
static SEGMENTS_COPIED: Global<[Segment; SEGMENTS]> = Global::new([Segment::NONE; SEGMENTS]);
/// Size of a record, the header included.
#[unsafe(no_mangle)]
static RECORD_BYTES: Global<u64> = Global::new(size_of::<Header>() as u64);
/// Wake the reader once this many bytes wait for it.
#[unsafe(no_mangle)]
static WAKEUP_BYTES: Global<u64> = Global::new(0);

#[btf_map]
static EVENTS: RingBuf<Header, { 1 << 22 }> = RingBuf::new();
#[btf_map]
static LOSSES: PerCpuArray<EventLosses, 1> = PerCpuArray::new();
#[btf_map]
static OBSERVED: PerCpuArray<EventsObserved, 1> = PerCpuArray::new();

#[tracepoint]
fn tpev_hit(ctx: TracePointContext) -> u32 {
    hit(Entry::new(ctx.as_ptr()));
    // 1 would let the kernel go on and make a perf record of it.
    0
}

#[inline(always)]
fn hit(entry: Entry) {
    count(&OBSERVED, |observed| &mut observed.hits, 1);
    let task = Task::current();
    if !is_target() || !filter::passes(&FILTER, entry, task) {
        count(&OBSERVED, |observed| &mut observed.filtered, 1);
        return;
    }
    // SAFETY: a ring buffer's own size limits what can be asked for; the bytes are all written or zeroed below.
    let Some(record) = (unsafe { ring::reserve(&EVENTS, RECORD_BYTES.load()) }) else {
        count(&LOSSES, |losses| &mut losses.records_lost, 1);
        return;
    };
    let header = Header {
        ts_ns: now_ns(),
        pid: task.pid,
        tid: task.tid,
        comm: bpf_get_current_comm().unwrap_or_default(),
        cpu: cpu(),
        padding: 0,
    };
    // SAFETY: the record has room for the header and, behind it, for every segment: the loader made the sizes fit.
    unsafe {
        record.cast::<Header>().write(header);
        entry.copy(&SEGMENTS_COPIED, record.add(size_of::<Header>()));
        ring::submit(record, ring::submit_flags(&EVENTS, &WAKEUP_BYTES));
    }
}
