//! Tracepoint latency: a start remembers when and what, the end with the same key makes a record of both, counts the
//! time between them into a histogram, or does either.
#![no_std]
#![no_main]

mod histograms;

use aya_ebpf::{
    EbpfContext, Global,
    bindings::{BPF_ANY, BPF_NOEXIST},
    btf_maps::{HashMap, PerCpuArray, RingBuf},
    helpers::bpf_get_current_comm,
    macros::{btf_map, raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use rtrace_common::{
    entry::{ALTERNATIVES, CONDITIONS, Condition, SEGMENTS, Segment, source},
    group::{Group, GroupBy},
    tracepoint_latency::{
        Begun, KEY_PARTS, Key, KeyPart, LatencyHeader, LatencyLosses, LatencyObserved, MAX_CARRIED, RequestLayout,
    },
};
use rtrace_programs::{
    count, cpu, element,
    entry::Entry,
    filter, now_ns, part, request, ring,
    tasks::{Task, is_target},
};

/// What starts must meet.
#[unsafe(no_mangle)]
static FILTER: Global<filter::Table> = Global::new([Condition::NONE; ALTERNATIVES * CONDITIONS]);
#[unsafe(no_mangle)]
static MIN_LATENCY_NS: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static START_KEY: Global<[KeyPart; KEY_PARTS]> = Global::new([KeyPart::NONE; KEY_PARTS]);
#[unsafe(no_mangle)]
static END_KEY: Global<[KeyPart; KEY_PARTS]> = Global::new([KeyPart::NONE; KEY_PARTS]);
/// Which argument of the start's raw tracepoint is the request: before Linux 5.11 the second, then the first.
#[unsafe(no_mangle)]
static START_ARGUMENT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static REQUEST_LAYOUT: Global<RequestLayout> = Global::new(RequestLayout {
    sector: 0,
    data_len: 0,
    flags: 0,
    to_disk: 0,
    queue_to_disk: 0,
    major: 0,
    first_minor: 0,
    flag_bits: [0; 8],
});
/// Fields of the start's entry to carry to the end.
#[unsafe(no_mangle)]
static START_SEGMENTS: Global<[Segment; SEGMENTS]> = Global::new([Segment::NONE; SEGMENTS]);
#[unsafe(no_mangle)]
static END_SEGMENTS: Global<[Segment; SEGMENTS]> = Global::new([Segment::NONE; SEGMENTS]);
/// Whether pairs are counted into histograms.
#[unsafe(no_mangle)]
static COUNT_PAIRS: Global<u32> = Global::new(0);
/// The field they are split by: where it is in the end's entry, or among what is carried from the start.
#[unsafe(no_mangle)]
static GROUP_FIELD: Global<Segment> = Global::new(Segment::NONE);
/// Whether pairs are recorded.
#[unsafe(no_mangle)]
static RECORD_PAIRS: Global<u32> = Global::new(1);
/// Bytes carried, a multiple of 8; the end's fields follow them.
#[unsafe(no_mangle)]
static CARRIED_BYTES: Global<u64> = Global::new(0);
/// Size of a record, the header included.
#[unsafe(no_mangle)]
static RECORD_BYTES: Global<u64> = Global::new(size_of::<LatencyHeader>() as u64);
/// Wake the reader once this many bytes wait for it.
#[unsafe(no_mangle)]
static WAKEUP_BYTES: Global<u64> = Global::new(0);

#[btf_map]
static STARTS: HashMap<Key, Begun, 16384> = HashMap::new();
/// A start in the making: too large for the stack beside everything else.
#[btf_map]
static SCRATCH: PerCpuArray<Begun, 1> = PerCpuArray::new();
#[btf_map]
static EVENTS: RingBuf<LatencyHeader, { 1 << 22 }> = RingBuf::new();
#[btf_map]
static LOSSES: PerCpuArray<LatencyLosses, 1> = PerCpuArray::new();
#[btf_map]
static OBSERVED: PerCpuArray<LatencyObserved, 1> = PerCpuArray::new();

#[tracepoint]
fn tplat_start(ctx: TracePointContext) -> u32 {
    start(Entry::new(ctx.as_ptr()));
    // 1 would let the kernel go on and make a perf record of it.
    0
}

#[tracepoint]
fn tplat_end(ctx: TracePointContext) -> u32 {
    end::<false>(Entry::new(ctx.as_ptr()));
    0
}

/// Start of a request to a disk, see [`request`].
#[raw_tracepoint(tracepoint = "block_rq_issue")]
fn tplat_rq_start(ctx: RawTracePointContext) -> i32 {
    // The verifier wants offsets into the context as constants.
    let begun = if START_ARGUMENT.load() == 0 { ctx.arg(0) } else { ctx.arg(1) };
    let entry = request::entry_of(begun, 0, &REQUEST_LAYOUT);
    start(Entry::of(&entry));
    0
}

#[raw_tracepoint(tracepoint = "block_rq_complete")]
fn tplat_rq_end(ctx: RawTracePointContext) -> i32 {
    let (ended, error, bytes): (u64, i32, u32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let entry = request::entry_of(ended, error, &REQUEST_LAYOUT);
    if bytes < entry.bytes {
        count(&OBSERVED, |observed| &mut observed.partial_ends, 1);
        return 0;
    }
    // An interrupt may end another request in the middle of this.
    end::<true>(Entry::of(&entry));
    0
}

#[inline(always)]
fn start(entry: Entry) {
    count(&OBSERVED, |observed| &mut observed.starts, 1);
    let task = Task::current();
    if !is_target() || !filter::passes(&FILTER, entry, task) {
        count(&OBSERVED, |observed| &mut observed.filtered, 1);
        return;
    }
    let key = key_of(entry, &START_KEY, task);
    let Some(begun) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's own value; tracepoint programs are not preempted, and the segments fit what is carried.
    unsafe {
        (*begun).pid = task.pid;
        (*begun).tid = task.tid;
        (*begun).comm = bpf_get_current_comm().unwrap_or_default();
        entry.copy(&START_SEGMENTS, (&raw mut (*begun).carried).cast());
        (*begun).ts_ns = now_ns();
        if STARTS.insert(key, &*begun, u64::from(BPF_NOEXIST)).is_ok() {
            return;
        }
        if STARTS.get_ptr(key).is_none() {
            count(&LOSSES, |losses| &mut losses.starts_not_stored, 1);
            return;
        }
        count(&LOSSES, |losses| &mut losses.starts_overwritten, 1);
        let _ = STARTS.insert(key, &*begun, u64::from(BPF_ANY));
    }
}

#[inline(always)]
fn end<const PREEMPTIBLE: bool>(entry: Entry) {
    let ended_ns = now_ns();
    count(&OBSERVED, |observed| &mut observed.ends, 1);
    let key = key_of(entry, &END_KEY, Task::current());
    let Some(begun) = STARTS.get_ptr(key) else {
        count(&OBSERVED, |observed| &mut observed.ends_unmatched, 1);
        return;
    };
    // Clocks of different CPUs may differ by nanoseconds; what began on one and ended on another never took less than 0.
    // SAFETY: nobody else removes a start than the end with its key.
    let latency_ns = ended_ns.saturating_sub(unsafe { (*begun).ts_ns });
    if latency_ns < MIN_LATENCY_NS.load() {
        count(&OBSERVED, |observed| &mut observed.below_minimum, 1);
    } else {
        // SAFETY: as above.
        let group = |by| unsafe { group(by, entry, begun) };
        if COUNT_PAIRS.load() != 0 && !histograms::count::<PREEMPTIBLE>(latency_ns, group) {
            count(&LOSSES, |losses| &mut losses.groups_full, 1);
        }
        if RECORD_PAIRS.load() != 0 {
            // SAFETY: as above.
            unsafe { record(entry, begun, ended_ns, latency_ns) };
        }
    }
    let _ = STARTS.remove(key);
}

#[inline(always)]
unsafe fn group(by: u32, entry: Entry, begun: *const Begun) -> Group {
    let mut group = Group::default();
    // SAFETY: the caller's promise; the loader made the field fit.
    unsafe {
        if by == GroupBy::Comm as u32 {
            return (*begun).comm;
        }
        if by == GroupBy::Pid as u32 {
            return histograms::numbered((*begun).pid);
        }
        if by == GroupBy::Tid as u32 {
            return histograms::numbered((*begun).tid);
        }
        if by == GroupBy::Cpu as u32 {
            return histograms::numbered(cpu());
        }
        let from = if by == GroupBy::StartField as u32 { Entry::of(&(*begun).carried) } else { entry };
        from.copy_one(&GROUP_FIELD, group.as_mut_ptr());
    }
    group
}

#[inline(always)]
unsafe fn record(entry: Entry, begun: *const Begun, ts_ns: u64, latency_ns: u64) {
    // SAFETY: the size is a global; the record is submitted below.
    let Some(record) = (unsafe { ring::reserve(&EVENTS, RECORD_BYTES.load()) }) else {
        count(&LOSSES, |losses| &mut losses.records_lost, 1);
        return;
    };
    let carried_bytes = CARRIED_BYTES.load() as usize;
    // SAFETY: the loader made the sizes fit: header, what is carried, the end's fields.
    unsafe {
        record.cast::<LatencyHeader>().write(LatencyHeader {
            ts_ns,
            pid: (*begun).pid,
            tid: (*begun).tid,
            comm: (*begun).comm,
            cpu: cpu(),
            padding: 0,
            latency_ns,
        });
        let payload = record.add(size_of::<LatencyHeader>());
        for word in 0..MAX_CARRIED / 8 {
            if word * 8 >= carried_bytes {
                break;
            }
            let from = (&raw const (*begun).carried).cast::<u64>().add(word);
            payload.cast::<u64>().add(word).write_unaligned(from.read_unaligned());
        }
        entry.copy(&END_SEGMENTS, payload.add(carried_bytes));
        ring::submit(record, ring::submit_flags(&EVENTS, &WAKEUP_BYTES));
    }
}

#[inline(always)]
fn key_of(entry: Entry, parts: &'static Global<[KeyPart; KEY_PARTS]>, task: Task) -> Key {
    let mut key = Key::default();
    for (index, value) in key.iter_mut().enumerate() {
        let one = element(parts, index);
        *value = match part!(one, source) {
            source::NONE => break,
            source::TID => u64::from(task.tid),
            source::CPU => u64::from(cpu()),
            _ => entry.integer(u64::from(part!(one, offset)), part!(one, size), part!(one, signed) != 0),
        };
    }
    key
}
