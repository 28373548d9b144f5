// What lies elsewhere on other kernels: members of the kernel's structs, and fields of tracepoints behind one that was
// added (block_rq_issue has `ioprio` before `rwbs` and `comm` since 6.12).

#include <linux/sched.h>
#include <linux/cred.h>

struct event {
    u64 size;
    u32 tgid;
    u32 tid;
    u32 parent;
    u32 uid;
    char comm[TASK_COMM_LEN];
};
struct write {
    u32 dev;
    u32 tid;
    u32 bytes;
    u32 kind;
    char comm[TASK_COMM_LEN];
};
struct place {
    u64 sector;
    u64 dev;
};

// The thread to look at.
BPF_ARRAY(target, u32, 1);
BPF_HISTOGRAM(dist);
BPF_PERF_OUTPUT(events);
BPF_HASH(issued, struct place, struct write);
BPF_HASH(writes, struct write, u64);

TRACEPOINT_PROBE(syscalls, sys_enter_read)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    int first = 0;
    u32 *tid = target.lookup(&first);
    struct event event = {};

    if (!tid || task->pid != *tid)
        return 0;
    event.size = args->count;
    event.tgid = task->tgid;
    event.tid = task->pid;
    event.parent = task->real_parent->tgid;
    event.uid = task->cred->uid.val;
    bpf_probe_read_kernel(event.comm, sizeof(event.comm), task->comm);
    events.perf_submit(args, &event, sizeof(event));
    dist.increment(bpf_log2l(args->count));
    return 0;
}

TRACEPOINT_PROBE(block, block_rq_issue)
{
    struct place place = { args->sector, args->dev };
    struct write write = {};

    write.dev = args->dev;
    write.tid = bpf_get_current_pid_tgid();
    write.bytes = args->bytes;
    write.kind = args->rwbs[0];
    bpf_probe_read_kernel(write.comm, sizeof(write.comm), args->comm);
    issued.update(&place, &write);
    return 0;
}

TRACEPOINT_PROBE(block, block_rq_complete)
{
    struct place place = { args->sector, args->dev };
    struct write *write = issued.lookup(&place);

    if (write && args->rwbs[0] == 'W') {
        writes.increment(*write);
        issued.delete(&place);
    }
    return 0;
}
