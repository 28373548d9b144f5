//! Tracepoint latency: a start remembers when and what, the end with the same key makes a record of both.
#![no_std]
#![no_main]

use aya_ebpf::{
    EbpfContext, Global,
    bindings::{BPF_ANY, BPF_NOEXIST},
    btf_maps::{HashMap, PerCpuArray, RingBuf},
    helpers::bpf_get_current_comm,
    macros::{btf_map, raw_tracepoint, tracepoint},
    programs::{RawTracePointContext, TracePointContext},
};
use rtrace_common::{
    entry::{ALTERNATIVES, CONDITIONS, Condition, SEGMENTS, Segment},
    tracepoint_latency::{
        Begun, KEY_PARTS, Key, KeyPart, LatencyHeader, LatencyLosses, LatencyObserved, MAX_CARRIED, PointerCheck,
    },
};
use rtrace_programs::{
    count, cpu, element,
    entry::Entry,
    filter, now_ns, part, ring,
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
/// Whether the key is a pointer that the raw tracepoint of the same name passes, instead of fields.
#[unsafe(no_mangle)]
static KEY_IS_POINTER: Global<u32> = Global::new(0);
/// Which argument of the raw tracepoints that pointer is.
#[unsafe(no_mangle)]
static START_ARGUMENT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static END_ARGUMENT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static POINTER_CHECK: Global<PointerCheck> = Global::new(PointerCheck { behind: 0, entries: [0; 2], size: 0 });
/// Fields of the start's entry to carry to the end.
#[unsafe(no_mangle)]
static START_SEGMENTS: Global<[Segment; SEGMENTS]> = Global::new([Segment::NONE; SEGMENTS]);
#[unsafe(no_mangle)]
static END_SEGMENTS: Global<[Segment; SEGMENTS]> = Global::new([Segment::NONE; SEGMENTS]);
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
/// The pointers that the raw tracepoints have just passed on this CPU: of a start, of an end.
#[btf_map]
static POINTERS: PerCpuArray<[u64; 2], 1> = PerCpuArray::new();
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
    end(Entry::new(ctx.as_ptr()));
    0
}

/// Runs before `tplat_start`, at the same hit, on the same CPU, with preemption off.
#[raw_tracepoint(tracepoint = "tplat_start")]
fn tplat_raw_start(ctx: RawTracePointContext) -> i32 {
    remember_pointer(0, argument(&ctx, &START_ARGUMENT));
    0
}

#[raw_tracepoint(tracepoint = "tplat_end")]
fn tplat_raw_end(ctx: RawTracePointContext) -> i32 {
    remember_pointer(1, argument(&ctx, &END_ARGUMENT));
    0
}

/// The verifier wants offsets into the context as constants, so the few that there are stand here.
#[inline(always)]
fn argument(ctx: &RawTracePointContext, which: &Global<u32>) -> u64 {
    match which.load() {
        0 => ctx.arg(0),
        _ => ctx.arg(1),
    }
}

#[inline(always)]
fn remember_pointer(side: usize, pointer: u64) {
    if let Some(pointers) = POINTERS.get_ptr_mut(0) {
        // SAFETY: this CPU's own value.
        unsafe { (*pointers)[side] = pointer };
    }
}

#[inline(always)]
fn start(entry: Entry) {
    count(&OBSERVED, |observed| &mut observed.starts, 1);
    let task = Task::current();
    if !is_target() || !filter::passes(&FILTER, entry, task) {
        count(&OBSERVED, |observed| &mut observed.filtered, 1);
        return;
    }
    let Some(begun) = SCRATCH.get_ptr_mut(0) else { return };
    let Some(key) = key_of(entry, &START_KEY, 0) else {
        count(&LOSSES, |losses| &mut losses.keys_mismatched, 1);
        return;
    };
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
fn end(entry: Entry) {
    let ended_ns = now_ns();
    count(&OBSERVED, |observed| &mut observed.ends, 1);
    let Some(key) = key_of(entry, &END_KEY, 1) else {
        count(&LOSSES, |losses| &mut losses.keys_mismatched, 1);
        return;
    };
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
        unsafe { record(entry, begun, ended_ns, latency_ns) };
    }
    let _ = STARTS.remove(key);
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
fn key_of(entry: Entry, parts: &'static Global<[KeyPart; KEY_PARTS]>, side: usize) -> Option<Key> {
    let mut key = Key::default();
    if KEY_IS_POINTER.load() != 0 {
        key[0] = take_pointer(entry, side)?;
        return Some(key);
    }
    for (index, value) in key.iter_mut().enumerate() {
        let one = element(parts, index);
        let size = part!(one, size);
        if size == 0 {
            break;
        }
        *value = entry.integer(u64::from(part!(one, offset)), size, part!(one, signed) != 0);
    }
    Some(key)
}

/// Take the pointer that the raw tracepoint has just passed on this CPU.
///
/// The raw program runs first because it is attached first, unless somebody else had the tracepoint in use already.
/// Then the pointer would be the previous hit's: what lies behind it tells.
#[inline(always)]
fn take_pointer(entry: Entry, side: usize) -> Option<u64> {
    let pointers = POINTERS.get_ptr_mut(0)?;
    // SAFETY: this CPU's own value.
    let pointer = core::mem::take(unsafe { &mut (*pointers)[side] });
    if pointer == 0 {
        return None;
    }
    let check = POINTER_CHECK.load();
    if check.size == 0 {
        return Some(pointer);
    }
    let told = entry.integer(u64::from(check.entries[side]), check.size as u8, false);
    let found = Entry::at(pointer).integer(u64::from(check.behind), check.size as u8, false);
    // The kernel shows 0 where there is no such number.
    if told == found || told == 0 { Some(pointer) } else { None }
}
