// Registers by number, and the helpers that tools call.

struct seen_t {
	u64 when, who, user, cgroup;
	u32 cpu, node, chance, pid;
	char name[16];
};
BPF_HASH(seen, u32, struct seen_t);
BPF_ARRAY(sum, u64, 1);

int registers(struct pt_regs *ctx)
{
	struct pt_regs *inner = PT_REGS_SYSCALL_CTX(ctx);
	int zero = 0;
	u64 *total = sum.lookup(&zero);

	if (total)
		lock_xadd(total, PT_REGS_PARM1(ctx) + PT_REGS_PARM2(ctx) + PT_REGS_PARM3(ctx) + PT_REGS_PARM4(ctx) +
					 PT_REGS_PARM5(ctx) + PT_REGS_PARM6(ctx) + PT_REGS_PARM4_SYSCALL(inner));
	return 0;
}

int helpers(struct pt_regs *ctx, const char __user *text)
{
	struct seen_t now = { .when = bpf_ktime_get_ns() };
	struct bpf_pidns_info space = {};
	char character;
	u32 key = bpf_get_current_pid_tgid();

	now.who = bpf_get_current_pid_tgid() >> 32;
	now.user = bpf_get_current_uid_gid() & 0xffffffff;
	now.cgroup = bpf_get_current_cgroup_id();
	now.cpu = bpf_get_smp_processor_id();
	now.node = bpf_get_numa_node_id();
	now.chance = bpf_get_prandom_u32();
	if (!bpf_get_ns_current_pid_tgid(3, 4026531836, &space, sizeof(space)))
		now.pid = space.pid;
	bpf_get_current_comm(now.name, sizeof(now.name));
	bpf_probe_read_user(&character, sizeof(character), text);
	now.name[15] = character;
	bpf_probe_read(&character, sizeof(character), text);
	bpf_probe_read_str(now.name, 8, text);
	seen.update(&key, &now);
	return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exec)
{
	char name[16] = {};
	u32 key = args->pid;

	TP_DATA_LOC_READ_CONST(name, filename, 8);
	seen.delete(&key);
	return name[0] == '/';
}
