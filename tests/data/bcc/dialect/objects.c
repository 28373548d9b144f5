// Maps of kernel objects and of what hangs off them; programs for packets, sockets and cgroups.
#include <bcc/proto.h>

struct key_t {
	u32 address;
	u32 port;
};

BPF_STACK_TRACE(stacks, 1000);
BPF_STACK_TRACE_BUILDID(build_id_stacks, 1024);
BPF_PROG_ARRAY(programs, 10);
BPF_CGROUP_ARRAY(cgroups, 1);
BPF_PERF_ARRAY(counters, 4);
BPF_DEVMAP(devices, 4);
BPF_CPUMAP(cpus, 4);
BPF_XSKMAP(xsks, 4);
BPF_SOCKMAP(sockets, 4);
BPF_SOCKHASH(socket_hash, struct key_t, 10);
BPF_SK_STORAGE(of_sockets, u64);
BPF_INODE_STORAGE(of_inodes, int);
BPF_TASK_STORAGE(of_tasks, struct key_t);
BPF_CGROUP_STORAGE(of_cgroups, u64);
BPF_PERCPU_CGROUP_STORAGE(of_cgroups_percpu, u64);
BPF_QUEUE(queue, struct key_t, 10);
BPF_STACK(stack, u64, 10, 0);
BPF_HASH(counts);

int probe(struct pt_regs *ctx)
{
	struct key_t key = {};
	struct bpf_perf_event_value value;

	counts.increment(stacks.get_stackid(ctx, BPF_F_USER_STACK));
	counts.increment(build_id_stacks.get_stackid(ctx, BPF_F_USER_STACK | BPF_F_USER_BUILD_ID));
	if (cgroups.check_current_task(0) > 0)
		counts.increment(counters.perf_read(BPF_F_CURRENT_CPU));
	counters.perf_counter_value(BPF_F_CURRENT_CPU, &value, sizeof(value));
	queue.push(&key, BPF_EXIST);
	queue.peek(&key);
	queue.pop(&key);
	counts.increment(bpf_num_cpus());
	programs.call(ctx, 3);
	return 0;
}

int drop(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *header = data;

	if (data + sizeof(*header) > end)
		return XDP_PASS;
	if (header->h_proto == htons(ETH_P_ARP))
		return cpus.redirect_map(0, 0);
	return header->h_proto == htons(ETH_P_IP) ? devices.redirect_map(0, 0) : XDP_DROP;
}

int filter(struct __sk_buff *skb)
{
	return load_half(skb, offsetof(struct ethhdr, h_proto)) == ETH_P_IP && load_byte(skb, 23) == IPPROTO_TCP ? -1 : 0;
}

int established(struct bpf_sock_ops *ops)
{
	struct key_t key = { .address = ops->remote_ip4 };

	socket_hash.sock_hash_update(ops, &key, BPF_NOEXIST);
	return 1;
}

int message(struct sk_msg_md *message)
{
	struct key_t key = { .address = message->remote_ip4 };

	return socket_hash.msg_redirect_hash(message, &key, BPF_F_INGRESS);
}
