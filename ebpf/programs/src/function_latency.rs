//! Function latency: how long a kernel function takes, by fentry/fexit, kprobe/kretprobe or system-call tracepoints.
//!
//! Each mechanism has two handlers; all of them end in [`enter`] and [`leave`]. Every call is measured, also those
//! that a thread makes inside another one. Whatever is not measured is counted, see `Losses` and `Observed`.
#![no_std]
#![no_main]

mod histograms;

use aya_ebpf::{
    EbpfContext, Global,
    btf_maps::{HashMap, PerCpuArray, RingBuf},
    helpers::{bpf_get_current_comm, bpf_probe_read_kernel},
    macros::{btf_map, fentry, fexit, kprobe, kretprobe, raw_tracepoint, tracepoint},
    programs::{FEntryContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext, TracePointContext},
};
use rtrace_common::{
    function_latency::{Call, Losses, NESTING, Observed, Start, Starts, Storage},
    group::{Group, GroupBy},
};
use rtrace_programs::{
    calls::{self, Returned},
    count, cpu, device, frame, now_ns, ring,
    task_storage::TaskStorage,
    tasks::{Task, is_target},
    thread_key,
};

#[unsafe(no_mangle)]
static MIN_LATENCY_NS: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static STORAGE: Global<u32> = Global::new(Storage::Hash as u32);
#[unsafe(no_mangle)]
static RECORD_CALLS: Global<u32> = Global::new(0);
/// Wake the reader once this many bytes wait for it; it looks by itself now and then.
#[unsafe(no_mangle)]
static WAKEUP_BYTES: Global<u64> = Global::new(0);
/// Arguments of the function: where fexit finds the return value.
#[unsafe(no_mangle)]
static ARGUMENTS: Global<u32> = Global::new(0);
/// The system calls to time, -1 where unused.
#[unsafe(no_mangle)]
static SYSCALLS: Global<[i64; 4]> = Global::new([-1; 4]);

/// Only system calls on descriptors of this device; 0 for all.
#[unsafe(no_mangle)]
static TARGET_DEVICE: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static DEVICE_PATH: Global<device::Path> = Global::new([0; 5]);

#[btf_map]
static STARTS: HashMap<u32, Starts, 10240> = HashMap::new();
#[btf_map]
static TASK_STARTS: TaskStorage<Starts> = TaskStorage::new();
#[btf_map]
static LOSSES: PerCpuArray<Losses, 1> = PerCpuArray::new();
#[btf_map]
static OBSERVED: PerCpuArray<Observed, 1> = PerCpuArray::new();
#[btf_map]
static EVENTS: RingBuf<Call, { 1 << 22 }> = RingBuf::new();

#[fentry]
fn fnlat_fentry(ctx: FEntryContext) -> i32 {
    enter(frame::of_trampoline(ctx.as_ptr()));
    0
}

#[fexit]
fn fnlat_fexit(ctx: FExitContext) -> i32 {
    // The trampoline saves the return value behind the arguments. A constant offset into the context would do, but
    // how many arguments there are is known at load time only, and the helper for it came with Linux 5.17.
    let returned = || {
        let arguments: *const i64 = ctx.as_ptr().cast();
        // SAFETY: the kernel checks the address it reads from.
        unsafe { bpf_probe_read_kernel(arguments.add(ARGUMENTS.load() as usize)) }.unwrap_or(0)
    };
    leave::<true>(frame::of_trampoline(ctx.as_ptr()), returned);
    0
}

#[kprobe]
fn fnlat_kprobe(ctx: ProbeContext) -> u32 {
    enter(frame::at_entry(ctx.regs));
    0
}

#[kretprobe]
fn fnlat_kretprobe(ctx: RetProbeContext) -> u32 {
    leave::<false>(frame::at_return(ctx.regs), || ctx.ret());
    0
}

/// Entry of one system call. Costs other system calls less than the raw tracepoint of them all, but needs tracefs.
#[tracepoint]
fn fnlat_tp_enter(ctx: TracePointContext) -> u32 {
    /// Where the first argument is in the entry of every `sys_enter_*`.
    const FIRST_ARGUMENT: usize = 16;
    let wanted = TARGET_DEVICE.load();
    // SAFETY: as long as that is; the verifier checks the offset.
    let descriptor = || unsafe { ctx.read_at(FIRST_ARGUMENT) }.unwrap_or(u64::MAX);
    if wanted == 0 || device::of_descriptor(descriptor(), &DEVICE_PATH) == wanted {
        enter(frame::SYSCALL);
    }
    // 1 would let the kernel go on and make a perf record of it.
    0
}

#[tracepoint]
fn fnlat_tp_exit(ctx: TracePointContext) -> u32 {
    /// Where the return value is in the entry of every `sys_exit_*`.
    const RETURN_VALUE: usize = 16;
    // SAFETY: as long as that is; the verifier checks the offset.
    leave::<false>(frame::SYSCALL, || unsafe { ctx.read_at(RETURN_VALUE) }.unwrap_or(0));
    0
}

/// Entry of any system call.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn fnlat_sys_enter(ctx: RawTracePointContext) -> i32 {
    let number: i64 = ctx.arg(1);
    let [a, b, c, d] = SYSCALLS.load();
    if (number == a || number == b || number == c || number == d) && !frame::is_compat(ctx.arg(0)) {
        enter(frame::SYSCALL);
    }
    0
}

#[raw_tracepoint(tracepoint = "sys_exit")]
fn fnlat_sys_exit(ctx: RawTracePointContext) -> i32 {
    leave::<false>(frame::SYSCALL, || ctx.arg(1));
    0
}

/// Forget a thread that dies inside the function; task storage goes with the task by itself.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn fnlat_task_exit(_ctx: RawTracePointContext) -> i32 {
    let _ = STARTS.remove(thread_key());
    0
}

#[inline(always)]
fn enter(frame: u64) {
    if !is_target() {
        return;
    }
    if uses_task_storage() {
        match TASK_STARTS.of_current_or_new() {
            Some(starts) => begin(starts, frame),
            None => count(&LOSSES, |losses| &mut losses.starts_not_stored, 1),
        }
    } else if let Some(starts) = STARTS.get_ptr_mut(thread_key()) {
        // SAFETY: only the thread itself writes its entry.
        begin(unsafe { &mut *starts }, frame);
    } else {
        let mut starts = Starts { depth: 0, calls: [Start { frame: 0, ts_ns: 0 }; NESTING] };
        begin(&mut starts, frame);
        if STARTS.insert(thread_key(), starts, 0).is_err() {
            count(&LOSSES, |losses| &mut losses.starts_not_stored, 1);
        }
    }
}

#[inline(always)]
fn begin(starts: &mut Starts, frame: u64) {
    let missed = calls::push(starts, Start { frame, ts_ns: now_ns() });
    if missed > 0 {
        count(&LOSSES, |losses| &mut losses.returns_missed, missed);
    }
}

#[inline(always)]
fn leave<const PREEMPTIBLE: bool>(frame: u64, returned: impl FnOnce() -> i64) {
    let ended_ns = now_ns();
    if !is_target() {
        return;
    }
    let call = end(frame);
    if call.started_ns == 0 {
        return;
    }
    if call.missed > 0 {
        count(&LOSSES, |losses| &mut losses.returns_missed, call.missed);
    }
    // Clocks of different CPUs may differ by nanoseconds; a thread that moved never took less than 0.
    let latency_ns = ended_ns.saturating_sub(call.started_ns);
    if latency_ns < MIN_LATENCY_NS.load() {
        count(&OBSERVED, |observed| &mut observed.below_minimum, 1);
        return;
    }
    if !histograms::count::<PREEMPTIBLE>(latency_ns, group) {
        count(&LOSSES, |losses| &mut losses.groups_full, 1);
        return;
    }
    if call.nested {
        count(&OBSERVED, |observed| &mut observed.nested, 1);
    }
    if RECORD_CALLS.load() != 0 {
        record(ended_ns, latency_ns, returned());
    }
}

/// Take the call that returns now off its thread's stack; it is not there if it was under way when tracing began.
#[inline(always)]
fn end(frame: u64) -> Returned {
    if uses_task_storage() {
        return TASK_STARTS.of_current().map_or_else(Returned::default, |starts| calls::pop(starts, frame));
    }
    let Some(starts) = STARTS.get_ptr_mut(thread_key()) else { return Returned::default() };
    // SAFETY: only the thread itself writes its entry.
    let starts = unsafe { &mut *starts };
    let call = calls::pop(starts, frame);
    // The map has room for threads inside the function, not for all that ever were.
    if starts.depth == 0 {
        let _ = STARTS.remove(thread_key());
    }
    call
}

#[inline(always)]
fn group(by: u32) -> Group {
    if by == GroupBy::Comm as u32 {
        return bpf_get_current_comm().unwrap_or_default();
    }
    histograms::numbered(if by == GroupBy::Pid as u32 {
        Task::current().pid
    } else if by == GroupBy::Tid as u32 {
        Task::current().tid
    } else {
        cpu()
    })
}

#[inline(always)]
fn record(ts_ns: u64, latency_ns: u64, return_value: i64) {
    let Some(mut entry) = EVENTS.reserve(0) else {
        count(&LOSSES, |losses| &mut losses.records_lost, 1);
        return;
    };
    let task = Task::current();
    entry.write(Call {
        ts_ns,
        latency_ns,
        return_value,
        pid: task.pid,
        tid: task.tid,
        cpu: cpu(),
        comm: bpf_get_current_comm().unwrap_or_default(),
    });
    entry.submit(ring::submit_flags(&EVENTS, &WAKEUP_BYTES));
}

#[inline(always)]
fn uses_task_storage() -> bool {
    STORAGE.load() == Storage::Task as u32
}
