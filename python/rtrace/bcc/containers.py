"""The filter that keeps a script to the cgroups or mount namespaces in a pinned map."""

from __future__ import annotations

TYPE_CHECKING = False  # saves the import of typing
if TYPE_CHECKING:
    from typing import Any

_NO_FILTER = "static inline int {name}(void) {{ return 0; }}\n"
_CGROUPS = """\
BPF_TABLE_PINNED("hash", u64, u64, cgroupset, 1024, "{path}");
static inline int filtered_by_cgroup(void)
{{
    u64 cgroup = bpf_get_current_cgroup_id();
    return !cgroupset.lookup(&cgroup);
}}
"""
# Scripts that define this struct themselves look for the macro first; the kernel's own types have it here.
_NAMESPACES = """\
#define MNT_NAMESPACE_DEFINED
BPF_TABLE_PINNED("hash", u64, u32, mount_ns_set, 1024, "{path}");
static inline int filtered_by_mount_namespace(void)
{{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    u64 number = task->nsproxy->mnt_ns->ns.inum;
    return !mount_ns_set.lookup(&number);
}}
"""
_BOTH = """\
static inline int container_should_be_filtered(void)
{
    return filtered_by_cgroup() || filtered_by_mount_namespace();
}
"""


def filter_by_containers(args: Any) -> str:
    """Return the C of ``container_should_be_filtered()``.

    `args` has the paths of pinned maps as ``cgroupmap`` and ``mntnsmap``; None or empty filters nothing.
    """
    by_cgroup = _CGROUPS.format(path=args.cgroupmap) if args.cgroupmap else _NO_FILTER.format(name="filtered_by_cgroup")
    by_namespace = (
        _NAMESPACES.format(path=args.mntnsmap)
        if args.mntnsmap
        else _NO_FILTER.format(name="filtered_by_mount_namespace")
    )
    return by_cgroup + by_namespace + _BOTH
