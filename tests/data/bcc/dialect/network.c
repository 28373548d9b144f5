// Members of sockets by the kernel's short names, which are macros there, and what else its headers bring along.
#include <net/sock.h>
#include <net/inet_sock.h>
#include <linux/blk-mq.h>

BPF_HASH(counts, u64);

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 8, 0)
#error "too old for rtrace"
#endif
int trace_connect(struct pt_regs *ctx, struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family, port = sk->sk_dport;
	u32 address = sk->sk_rcv_saddr;
	struct inet_sock *inet = inet_sk(sk);

	if (family == AF_INET6)
		address = sk->sk_v6_daddr.in6_u.u6_addr32[0] + sk->sk_v6_rcv_saddr.s6_addr32[3];
	else if (family != AF_INET)
		return 0;
	if (sk->sk_state == TCP_ESTABLISHED)
		counts.increment(tcp_sk(sk)->srtt_us >> 3);
	counts.increment(((u64)address << 32) | ntohs(port));
	counts.increment(inet->inet_sport + min(3, 4) + max_t(int, 3, 4L));
	return 0;
}

int trace_request(struct pt_regs *ctx, struct request *request)
{
	char disk[DISK_NAME_LEN];

	bpf_probe_read_kernel(disk, sizeof(disk), request->q->disk->disk_name);
	if ((request->cmd_flags & REQ_OP_MASK) == REQ_OP_WRITE || rq_data_dir(request))
		counts.increment(request->__data_len + disk[0]);
	return 0;
}
