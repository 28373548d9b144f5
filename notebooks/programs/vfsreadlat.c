// How long vfs_read takes, in microseconds, counted in powers of two.

BPF_HASH(starts, u32, u64);   // thread id -> when its read began
BPF_HISTOGRAM(latencies);     // power of two -> number of reads

int read_begins(struct pt_regs *ctx)
{
    u32 tid = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();

    starts.update(&tid, &now);
    return 0;
}

int read_ends(struct pt_regs *ctx)
{
    u32 tid = bpf_get_current_pid_tgid();
    u64 *began = starts.lookup(&tid);

    if (!began)
        return 0;  // it began before we were attached
    u64 microseconds = (bpf_ktime_get_ns() - *began) / 1000;
    latencies.increment(bpf_log2l(microseconds));
    starts.delete(&tid);
    return 0;
}
