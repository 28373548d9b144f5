/* Records in a ring buffer, by hits of getppid of one thread or process:
 *
 *     fill  PER_HIT records at each hit, waking nobody: to fill a ring before anybody reads it
 *     hit   one record at each hit, waking the reader when an eighth of the ring waits
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "events.h"

const volatile unsigned int TARGET_PID = 0;
const volatile unsigned long long WAKEUP_BYTES = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} EVENTS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, unsigned int);
	__type(value, unsigned long long);
} LOST SEC(".maps");

static __always_inline int put(unsigned long long number, unsigned long long flags)
{
	unsigned long long task = bpf_get_current_pid_tgid();
	struct event *event = bpf_ringbuf_reserve(&EVENTS, sizeof(*event), 0);

	if (!event)
		return 0;
	event->ts_ns = bpf_ktime_get_ns();
	event->pid = task >> 32;
	event->tid = task;
	event->number = number;
	event->spare = 0;
	bpf_ringbuf_submit(event, flags);
	return 1;
}

static __always_inline void count_lost(void)
{
	unsigned int zero = 0;
	unsigned long long *lost = bpf_map_lookup_elem(&LOST, &zero);

	if (lost)
		*lost += 1;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int fill(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != TARGET_PID)
		return 0;
	for (int index = 0; index < PER_HIT; index++)
		if (!put(index, BPF_RB_NO_WAKEUP)) {
			count_lost();
			return 0;
		}
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int hit(void *ctx)
{
	unsigned long long flags;

	if (bpf_get_current_pid_tgid() >> 32 != TARGET_PID)
		return 0;
	flags = bpf_ringbuf_query(&EVENTS, BPF_RB_AVAIL_DATA) >= WAKEUP_BYTES ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
	if (!put(0, flags))
		count_lost();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
