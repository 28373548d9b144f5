// How long requests to disks take: trace_start when one is handed to the driver, trace_completion when it is done.

#include <uapi/linux/ptrace.h>
#include <linux/blk-mq.h>

BPF_HASH(start, struct request *);

void trace_start(struct pt_regs *ctx, struct request *req)
{
	u64 now = bpf_ktime_get_ns();

	start.update(&req, &now);
}

void trace_completion(struct pt_regs *ctx, struct request *req)
{
	u64 *began = start.lookup(&req);

	if (began != 0) {
		u64 delta = bpf_ktime_get_ns() - *began;

		bpf_trace_printk("%d %x %d\n", req->__data_len, req->cmd_flags, delta / 1000);
		start.delete(&req);
	}
}
