// Records for Python: through perf buffers and ring buffers, from functions and from macros.
struct data_t {
	u64 ts;
	u32 pid;
	char comm[TASK_COMM_LEN];
	enum { OPENED, CLOSED } kind;
};
struct small_t {
	u16 port;
};

BPF_PERF_OUTPUT(events);
BPF_PERF_OUTPUT(others);
BPF_PERF_OUTPUT(packets);
BPF_RINGBUF_OUTPUT(ring, 8);
BPF_RINGBUF_OUTPUT(copies, 1 << 1);
BPF_PERCPU_ARRAY(scratch, struct data_t, 1);

#define SUBMIT(map, data) map.perf_submit(ctx, data, sizeof(*(data)))

static void fill(struct data_t *data)
{
	data->ts = bpf_ktime_get_ns();
	data->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(&data->comm, sizeof(data->comm));
}

int to_perf_buffers(struct pt_regs *ctx)
{
	struct data_t data = { .kind = CLOSED };
	struct small_t small = {};

	fill(&data);
	if (data.pid)
		events.perf_submit(ctx, &data, sizeof(data));
	else
		events.perf_submit(ctx, &data, sizeof(data));
	SUBMIT(others, &small);
	return 0;
}

int from_scratch(struct pt_regs *ctx)
{
	int zero = 0;
	struct data_t *data = scratch.lookup(&zero);

	if (!data)
		return 0;
	fill(data);
	events.perf_submit(ctx, data, sizeof(struct data_t));
	return 0;
}

int to_ring(void *ctx)
{
	struct data_t *data = ring.ringbuf_reserve(sizeof(struct data_t));
	struct small_t small = { .port = ntohs(443) };

	if (!data)
		return 0;
	fill(data);
	if (data->pid == 1)
		ring.ringbuf_discard(data, BPF_RB_NO_WAKEUP);
	else
		ring.ringbuf_submit(data, BPF_RB_FORCE_WAKEUP);
	copies.ringbuf_output(&small, sizeof(small), 0);
	return copies.ringbuf_query(BPF_RB_AVAIL_DATA) > 100;
}

int packet(struct __sk_buff *skb)
{
	u32 length = skb->len;

	packets.perf_submit_skb(skb, skb->len, &length, sizeof(length));
	return 0;
}
