//! Counting latencies: one log2 histogram of all, or one for each group.
//!
//! A module of each object that counts and not of the library, whose maps and globals every object has.

use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    btf_maps::{PerCpuArray, PerCpuHashMap},
    macros::btf_map,
};
use rtrace_common::{
    group::{Group, GroupBy},
    log2::{self, Histogram},
};
use rtrace_programs::add;

/// Length of the histogram's unit.
#[unsafe(no_mangle)]
static UNIT_NS: Global<u64> = Global::new(1000);
#[unsafe(no_mangle)]
static GROUP_BY: Global<u32> = Global::new(GroupBy::None as u32);

#[btf_map]
static HISTOGRAM: PerCpuArray<Histogram, 1> = PerCpuArray::new();
#[btf_map]
static GROUPS: PerCpuHashMap<Group, Histogram, 1024> = PerCpuHashMap::new();

/// Count a latency into the histogram of all or, if they are split, that of the group that `group` makes of how.
///
/// Returns false if there are as many groups as there may be, and this is none of them. For `PREEMPTIBLE` see [`add`]:
/// a program that an interrupt may run in the middle of itself is one of those.
#[inline(always)]
pub fn count<const PREEMPTIBLE: bool>(latency_ns: u64, group: impl FnOnce(u32) -> Group) -> bool {
    let Some(histogram) = histogram(group) else { return false };
    add::<PREEMPTIBLE>(&mut histogram.counts[log2::slot(latency_ns, UNIT_NS.load())], 1);
    add::<PREEMPTIBLE>(&mut histogram.sum_ns, latency_ns);
    true
}

/// Return the group of a number.
#[inline(always)]
pub fn numbered(number: u32) -> Group {
    let mut group = Group::default();
    group[..4].copy_from_slice(&number.to_ne_bytes());
    group
}

#[inline(always)]
fn histogram(group: impl FnOnce(u32) -> Group) -> Option<&'static mut Histogram> {
    let shared = HISTOGRAM.get_ptr_mut(0)?;
    let by = GROUP_BY.load();
    if by == GroupBy::None as u32 {
        // SAFETY: this CPU's own value.
        return Some(unsafe { &mut *shared });
    }
    let group = group(by);
    if let Some(histogram) = GROUPS.get_ptr_mut(group) {
        // SAFETY: this CPU's own value; groups are never removed while programs run.
        return Some(unsafe { &mut *histogram });
    }
    // A histogram is too large for the stack; the shared one is all zeros as long as latencies are split.
    // SAFETY: as above. Another CPU may be first: then the entry is there, which is all that counts.
    let _ = GROUPS.insert(group, unsafe { &*shared }, u64::from(BPF_NOEXIST));
    GROUPS.get_ptr_mut(group).map(|histogram| unsafe { &mut *histogram })
}
