// What hangs off sockets, tasks and cgroups; maps of sockets; programs for packets with sections of their own.
#include <bcc/proto.h>

struct key_t {
	u32 address;
	u32 port;
};

BPF_SK_STORAGE(of_sockets, u64);
BPF_CGROUP_STORAGE(of_cgroups, u64);
BPF_PERCPU_CGROUP_STORAGE(of_cgroups_percpu, struct key_t);
BPF_SOCKMAP(sockets, 4);
BPF_SOCKHASH(socket_hash, struct key_t, 10);
BPF_QUEUESTACK("stack", lasts, u32, 10, 0);

int connected(struct bpf_sock_ops *ops)
{
	struct bpf_sock *socket = ops->sk;
	u32 index = 1;
	u64 *count;

	sockets.sock_map_update(ops, &index, BPF_ANY);
	if (!socket)
		return 1;
	count = of_sockets.sk_storage_get(socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (count && ++*count > 3)
		of_sockets.sk_storage_delete(socket);
	lasts.push(&index, BPF_EXIST);
	return 1;
}

int message(struct sk_msg_md *message)
{
	return sockets.msg_redirect_map(message, 1, BPF_F_INGRESS);
}

SEC("sk_skb/stream_verdict") int verdict(struct __sk_buff *skb)
{
	struct key_t key = { .port = skb->remote_port };

	if (skb->len > 100)
		return socket_hash.sk_redirect_hash(skb, &key, 0);
	return sockets.sk_redirect_map(skb, 1, 0);
}

int device(struct bpf_cgroup_dev_ctx *ctx)
{
	u64 *count = of_cgroups.get_local_storage(0);
	struct key_t *key = of_cgroups_percpu.get_local_storage(0);

	*count += ctx->major;
	key->port++;
	return 1;
}

SEC("classifier") int translate(struct __sk_buff *skb)
{
	u8 *cursor = 0;
	struct ethernet_t *ethernet = cursor_advance(cursor, sizeof(*ethernet));
	struct ip_t *ip = cursor_advance(cursor, sizeof(*ip));
	u32 at = ETH_HLEN + offsetof(struct iphdr, saddr), from, to = 0x7f000001;

	if (ethernet->type != ETH_P_IP || ip->nextp != IPPROTO_TCP)
		return 0;
	from = ip->src;
	if (load_word(skb, at) != from || load_dword(skb, at) >> 32 != from)
		return 0;
	incr_cksum_l3(skb, ETH_HLEN + offsetof(struct iphdr, check), htons(from), htons(to));
	incr_cksum_l4(skb, ETH_HLEN + sizeof(*ip) + offsetof(struct tcphdr, check), htons(from), htons(to), 1);
	ip->src = to;
	ip->df = 1;
	return 0;
}
