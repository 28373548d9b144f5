// Tracepoints: their records as structs, with fields of every kind.
BPF_HASH(counts, u32);

struct own_args {
	u64 unused;
	u32 first;
};

TRACEPOINT_PROBE(sched, sched_switch)
{
	char comm[TASK_COMM_LEN];

	bpf_probe_read_kernel(comm, sizeof(comm), args->next_comm);
	counts.increment(args->prev_pid + comm[0]);
	return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exec)
{
	char name[64];

	TP_DATA_LOC_READ_STR(name, filename, sizeof(name));
	TP_DATA_LOC_READ_CONST(name, filename, 8);
	counts.increment(name[0] + (args->data_loc_filename >> 16));
	return 0;
}

int tracepoint__syscalls__sys_enter_read(struct tracepoint__syscalls__sys_enter_read *args)
{
	counts.increment(args->fd + args->count);
	return 0;
}

int by_struct(struct tracepoint__raw_syscalls__sys_exit *args)
{
	if (args->id == 0)
		counts.increment(args->ret);
	return 0;
}

int by_own_struct(struct own_args *args)
{
	counts.increment(args->first);
	return 0;
}
