/* The latency of reads, in one source for all variants:
 *
 *     PROBE_TRACEPOINT  perf tracepoints of the one system call      START_NONE     programs that do nothing
 *     PROBE_RAW         raw tracepoints of every system call         START_HASH     start times in a hash map
 *     PROBE_BTF         the same with BTF: both ends see the number  START_STORAGE  start times in task storage
 *     PROBE_KPROBE      kprobe and kretprobe on vfs_read
 *     PROBE_FENTRY      fentry and fexit on vfs_read
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

typedef unsigned int u32;
typedef unsigned long long u64;

enum { SLOTS = 64, NR_READ = 0 };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, u32);
	__type(value, u64);
} HISTOGRAM SEC(".maps");

#if defined(START_HASH)
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, u64);
} STARTS SEC(".maps");
#elif defined(START_STORAGE)
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} STARTS SEC(".maps");
#endif

#if !defined(START_NONE)
static __always_inline u32 log2_slot(u64 value)
{
	u32 slot = 0;

	if (value >> 32) { value >>= 32; slot += 32; }
	if (value >> 16) { value >>= 16; slot += 16; }
	if (value >> 8) { value >>= 8; slot += 8; }
	if (value >> 4) { value >>= 4; slot += 4; }
	if (value >> 2) { value >>= 2; slot += 2; }
	return slot + (value >> 1 & 1);
}

static __always_inline void count(u64 delta_ns)
{
	u32 slot = log2_slot(delta_ns / 1000);
	u64 *counter = bpf_map_lookup_elem(&HISTOGRAM, &slot);

	if (counter)
		*counter += 1;
}
#endif

static __always_inline void enter(void)
{
#if defined(START_HASH)
	u32 tid = bpf_get_current_pid_tgid();
	u64 ts_ns = bpf_ktime_get_ns();

	bpf_map_update_elem(&STARTS, &tid, &ts_ns, BPF_ANY);
#elif defined(START_STORAGE)
	u64 *ts_ns = bpf_task_storage_get(&STARTS, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (ts_ns)
		*ts_ns = bpf_ktime_get_ns();
#endif
}

static __always_inline void leave(void)
{
#if defined(START_HASH)
	u32 tid = bpf_get_current_pid_tgid();
	u64 *ts_ns = bpf_map_lookup_elem(&STARTS, &tid);

	if (!ts_ns)
		return;
	count(bpf_ktime_get_ns() - *ts_ns);
	bpf_map_delete_elem(&STARTS, &tid);
#elif defined(START_STORAGE)
	u64 *ts_ns = bpf_task_storage_get(&STARTS, bpf_get_current_task_btf(), NULL, 0);

	if (!ts_ns || !*ts_ns)
		return;
	count(bpf_ktime_get_ns() - *ts_ns);
	*ts_ns = 0;
#endif
}

#if defined(PROBE_RAW)
SEC("raw_tp/sys_enter")
int readlat_entry(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] == NR_READ)
		enter();
	return 0;
}

/* Of every system call: what the thread remembers tells the one that is timed. */
SEC("raw_tp/sys_exit")
int readlat_return(struct bpf_raw_tracepoint_args *ctx)
{
	leave();
	return 0;
}
#elif defined(PROBE_BTF)
struct pt_regs {
	unsigned long orig_ax;
} __attribute__((preserve_access_index));

SEC("tp_btf/sys_enter")
int readlat_entry(u64 *ctx)
{
	if (ctx[1] == NR_READ)
		enter();
	return 0;
}

SEC("tp_btf/sys_exit")
int readlat_return(u64 *ctx)
{
	struct pt_regs *registers = (void *)ctx[0];

	if (registers->orig_ax == NR_READ)
		leave();
	return 0;
}
#else
#if defined(PROBE_TRACEPOINT)
SEC("tracepoint/syscalls/sys_enter_read")
#elif defined(PROBE_KPROBE)
SEC("kprobe/vfs_read")
#elif defined(PROBE_FENTRY)
SEC("fentry/vfs_read")
#endif
int readlat_entry(void *ctx)
{
	enter();
	return 0;
}

#if defined(PROBE_TRACEPOINT)
SEC("tracepoint/syscalls/sys_exit_read")
#elif defined(PROBE_KPROBE)
SEC("kretprobe/vfs_read")
#elif defined(PROBE_FENTRY)
SEC("fexit/vfs_read")
#endif
int readlat_return(void *ctx)
{
	leave();
	return 0;
}
#endif

char LICENSE[] SEC("license") = "GPL";
