//! Whose activity counts: filters on the current task, the same for every shape.

use aya_ebpf::{
    Global,
    bindings::bpf_pidns_info,
    btf_maps::CgroupArray,
    helpers::{bpf_get_current_pid_tgid, bpf_get_ns_current_pid_tgid},
    macros::btf_map,
};

/// Only this process; 0 for all.
#[unsafe(no_mangle)]
static TARGET_PID: Global<u32> = Global::new(0);
/// Only this thread; 0 for all.
#[unsafe(no_mangle)]
static TARGET_TID: Global<u32> = Global::new(0);
/// Whether only tasks under the cgroup in `TARGET_CGROUPS` count.
#[unsafe(no_mangle)]
static FILTER_CGROUP: Global<u32> = Global::new(0);
/// Device and inode of the pid namespace that rtrace runs in; 0 for the kernel's first one.
///
/// In a container the numbers that users know are those of their namespace.
#[unsafe(no_mangle)]
static PID_NAMESPACE: Global<[u64; 2]> = Global::new([0; 2]);

#[btf_map]
static TARGET_CGROUPS: CgroupArray<1> = CgroupArray::new();

/// The identity of the current task in rtrace's words.
#[derive(Clone, Copy)]
pub struct Task {
    /// Process (the kernel's tgid).
    pub pid: u32,
    /// Thread (the kernel's pid).
    pub tid: u32,
}

impl Task {
    /// Return who runs now; all 0 for a task outside rtrace's pid namespace.
    #[inline(always)]
    pub fn current() -> Self {
        let [device, inode] = PID_NAMESPACE.load();
        if inode == 0 {
            let both = bpf_get_current_pid_tgid();
            return Self { pid: (both >> 32) as u32, tid: both as u32 };
        }
        let mut seen = bpf_pidns_info { pid: 0, tgid: 0 };
        let size = size_of::<bpf_pidns_info>() as u32;
        // SAFETY: the helper writes to the variable or leaves it zeroed.
        unsafe { bpf_get_ns_current_pid_tgid(device, inode, &raw mut seen, size) };
        Self { pid: seen.tgid, tid: seen.pid }
    }
}

/// Return whether the current task counts; filters that are off cost nothing.
#[inline(always)]
pub fn is_target() -> bool {
    passes(&TARGET_PID, || Task::current().pid)
        && passes(&TARGET_TID, || Task::current().tid)
        && (FILTER_CGROUP.load() == 0 || TARGET_CGROUPS.current_task_under_cgroup(0) == Ok(true))
}

/// Return whether `value` passes a filter that is off when it is 0.
#[inline(always)]
fn passes(filter: &Global<u32>, value: impl FnOnce() -> u32) -> bool {
    let wanted = filter.load();
    wanted == 0 || wanted == value()
}
