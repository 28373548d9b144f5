// How long vfs_read takes, in microseconds, as a power-of-two histogram.
#include <uapi/linux/ptrace.h>

BPF_HASH(began, u32, u64);
BPF_HISTOGRAM(latencies);

int on_entry(struct pt_regs *ctx)
{
    u32 thread = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();
    began.update(&thread, &now);
    return 0;
}

int on_return(struct pt_regs *ctx)
{
    u32 thread = bpf_get_current_pid_tgid();
    u64 *since = began.lookup(&thread);
    if (since) {
        latencies.increment(bpf_log2l((bpf_ktime_get_ns() - *since) / 1000));
        began.delete(&thread);
    }
    return 0;
}
