/* Constants, macros and small functions of the kernel's headers that are no types, so that type information has none
 * of them. */

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "rtrace"
#endif
#define PAGE_SHIFT __rtrace_page_shift
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define TASK_COMM_LEN 16
#define NAME_MAX 255
#define PATH_MAX 4096
#define IFNAMSIZ 16
#define DISK_NAME_LEN 32
#define BDEVNAME_SIZE 32
#define MODULE_NAME_LEN (64 - sizeof(unsigned long))
#define HZ __rtrace_hz
#define NSEC_PER_USEC 1000L
#define NSEC_PER_MSEC 1000000L
#define NSEC_PER_SEC 1000000000L
#define USEC_PER_SEC 1000000L
#define USEC_PER_MSEC 1000L
#define MSEC_PER_SEC 1000L
#define UINT_MAX (~0U)
#define INT_MAX ((int)(UINT_MAX >> 1))
#define INT_MIN (-INT_MAX - 1)
#define ULONG_MAX (~0UL)
#define LONG_MAX ((long)(ULONG_MAX >> 1))
#define LONG_MIN (-LONG_MAX - 1)
#define ULLONG_MAX (~0ULL)
#define U8_MAX ((u8)~0U)
#define U16_MAX ((u16)~0U)
#define U32_MAX ((u32)~0U)
#define U64_MAX ((u64)~0ULL)
#define S8_MAX ((s8)(U8_MAX >> 1))
#define S16_MAX ((s16)(U16_MAX >> 1))
#define S32_MAX ((s32)(U32_MAX >> 1))
#define S64_MAX ((s64)(U64_MAX >> 1))
#define SIZE_MAX ULONG_MAX
#define BITS_PER_BYTE 8
#define BITS_PER_LONG 64
#define NUMA_NO_NODE (-1)
#define NR_CPUS CONFIG_NR_CPUS
#define MAX_NICE 19
#define MIN_NICE (-20)
#define MAX_RT_PRIO 100
#define MAX_PRIO (MAX_RT_PRIO + 40)
#define DEFAULT_PRIO (MAX_RT_PRIO + 20)

/* Directory entries keep short names themselves; the member was renamed in Linux 6.15. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
#define DNAME_INLINE_LEN sizeof(union shortname_store)
#define d_iname d_shortname.string
#else
#define DNAME_INLINE_LEN sizeof(((struct dentry *)0)->d_iname)
#endif

#define offsetof(type, member) __builtin_offsetof(type, member)
#define container_of(pointer, type, member) ((type *)((void *)(pointer) - offsetof(type, member)))
/* What the compiler itself has, made of instructions; nothing is called. */
#define memset __builtin_memset
#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memcmp __builtin_memcmp
#define strlen __builtin_strlen
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK(high, low) ((~0UL << (low)) & (~0UL >> (63 - (high))))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() asm volatile("" ::: "memory")
#define __stringify_1(...) #__VA_ARGS__
#define __stringify(...) __stringify_1(__VA_ARGS__)
#define min(a, b) \
	({ \
		__typeof__(a) __rtrace_a = (a); \
		__typeof__(b) __rtrace_b = (b); \
		__rtrace_a < __rtrace_b ? __rtrace_a : __rtrace_b; \
	})
#define max(a, b) \
	({ \
		__typeof__(a) __rtrace_a = (a); \
		__typeof__(b) __rtrace_b = (b); \
		__rtrace_a > __rtrace_b ? __rtrace_a : __rtrace_b; \
	})
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
/* include/linux/math.h, align.h, log2.h */
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define DIV_ROUND_CLOSEST(x, divisor) (((x) + (divisor) / 2) / (divisor))
#define round_up(x, to) ((((x)-1) | ((__typeof__(x))(to)-1)) + 1)
#define round_down(x, to) ((x) & ~((__typeof__(x))(to)-1))
#define ALIGN(x, to) round_up(x, to)
#define ALIGN_DOWN(x, to) round_down(x, to)
#define IS_ALIGNED(x, to) (((x) & ((__typeof__(x))(to)-1)) == 0)
#define is_power_of_2(n) ((n) != 0 && ((n) & ((n)-1)) == 0)
/* include/linux/math64.h */
#define div_u64(dividend, divisor) ((u64)(dividend) / (u32)(divisor))
#define div64_u64(dividend, divisor) ((u64)(dividend) / (u64)(divisor))
#define MAX_ERRNO 4095
#define IS_ERR_VALUE(x) unlikely((unsigned long)(void *)(x) >= (unsigned long)-MAX_ERRNO)
#define IS_ERR(pointer) IS_ERR_VALUE(pointer)
#define IS_ERR_OR_NULL(pointer) (!(pointer) || IS_ERR_VALUE(pointer))
#define PTR_ERR(pointer) ((long)(pointer))
#define ERR_PTR(error) ((void *)(long)(error))

/* An option is 1, or not defined at all; that of a module has a name of its own. */
#define __rtrace_enabled_1 0,
#define __rtrace_second(ignored, value, ...) value
#define __rtrace_enabled(x) __rtrace_second(x 1, 0)
#define IS_BUILTIN(option) __rtrace_enabled(__rtrace_join(__rtrace_enabled_, option))
#define IS_MODULE(option) __rtrace_enabled(__rtrace_join(__rtrace_enabled_, option##_MODULE))
#define IS_ENABLED(option) (IS_BUILTIN(option) || IS_MODULE(option))
#define IS_REACHABLE(option) IS_ENABLED(option)

#define __bpf_ntohs(x) __builtin_bswap16(x)
#define __bpf_ntohl(x) __builtin_bswap32(x)
#define __bpf_ntohll(x) __builtin_bswap64(x)
#define ntohs(x) __builtin_bswap16(x)
#define htons(x) __builtin_bswap16(x)
#define ntohl(x) __builtin_bswap32(x)
#define htonl(x) __builtin_bswap32(x)
#define bpf_ntohs(x) __builtin_bswap16(x)
#define bpf_htons(x) __builtin_bswap16(x)
#define bpf_ntohl(x) __builtin_bswap32(x)
#define bpf_htonl(x) __builtin_bswap32(x)
#define bpf_ntohll(x) __builtin_bswap64(x)
#define bpf_htonll(x) __builtin_bswap64(x)
#define bpf_be64_to_cpu(x) __builtin_bswap64(x)
#define bpf_cpu_to_be64(x) __builtin_bswap64(x)
#define be16_to_cpu(x) __builtin_bswap16(x)
#define be32_to_cpu(x) __builtin_bswap32(x)
#define be64_to_cpu(x) __builtin_bswap64(x)
#define cpu_to_be16(x) __builtin_bswap16(x)
#define cpu_to_be32(x) __builtin_bswap32(x)
#define cpu_to_be64(x) __builtin_bswap64(x)
#define __be16_to_cpu(x) __builtin_bswap16(x)
#define __be32_to_cpu(x) __builtin_bswap32(x)
#define __be64_to_cpu(x) __builtin_bswap64(x)
#define __cpu_to_be16(x) __builtin_bswap16(x)
#define __cpu_to_be32(x) __builtin_bswap32(x)
#define __cpu_to_be64(x) __builtin_bswap64(x)
#define le16_to_cpu(x) (x)
#define le32_to_cpu(x) (x)
#define le64_to_cpu(x) (x)
#define cpu_to_le16(x) (x)
#define cpu_to_le32(x) (x)
#define cpu_to_le64(x) (x)

/* include/linux/kdev_t.h */
#define MINORBITS 20
#define MINORMASK ((1U << MINORBITS) - 1)
#define MAJOR(dev) ((unsigned int)((dev) >> MINORBITS))
#define MINOR(dev) ((unsigned int)((dev)&MINORMASK))
#define MKDEV(major, minor) (((major) << MINORBITS) | (minor))

/* include/linux/blk_types.h */
#define REQ_OP_BITS 8
#define REQ_OP_MASK ((1U << REQ_OP_BITS) - 1)
#define req_op(request) ((request)->cmd_flags & REQ_OP_MASK)
#define bio_op(bio) ((bio)->bi_opf & REQ_OP_MASK)
#define op_is_write(op) ((op)&1)
#define rq_data_dir(request) (op_is_write(req_op(request)) ? 1 : 0)
#define REQ_SYNC (1U << __REQ_SYNC)
#define REQ_META (1U << __REQ_META)
#define REQ_PRIO (1U << __REQ_PRIO)
#define REQ_NOMERGE (1U << __REQ_NOMERGE)
#define REQ_IDLE (1U << __REQ_IDLE)
#define REQ_INTEGRITY (1U << __REQ_INTEGRITY)
#define REQ_FUA (1U << __REQ_FUA)
#define REQ_PREFLUSH (1U << __REQ_PREFLUSH)
#define REQ_RAHEAD (1U << __REQ_RAHEAD)
#define REQ_BACKGROUND (1U << __REQ_BACKGROUND)
#define REQ_NOWAIT (1U << __REQ_NOWAIT)
#define REQ_SWAP (1U << __REQ_SWAP)
#define SECTOR_SHIFT 9
#define SECTOR_SIZE (1 << SECTOR_SHIFT)

/* include/uapi/linux/stat.h, include/linux/fs.h, mm.h */
#define S_ISLNK(m) (((m)&S_IFMT) == S_IFLNK)
#define S_ISREG(m) (((m)&S_IFMT) == S_IFREG)
#define S_ISDIR(m) (((m)&S_IFMT) == S_IFDIR)
#define S_ISCHR(m) (((m)&S_IFMT) == S_IFCHR)
#define S_ISBLK(m) (((m)&S_IFMT) == S_IFBLK)
#define S_ISFIFO(m) (((m)&S_IFMT) == S_IFIFO)
#define S_ISSOCK(m) (((m)&S_IFMT) == S_IFSOCK)
#define READ 0
#define WRITE 1
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000
#define VM_READ 0x1
#define VM_WRITE 0x2
#define VM_EXEC 0x4

/* Where the kernel's addresses begin, by the levels of page tables (arch/x86/include/asm/page_64_types.h). */
#define __PAGE_OFFSET_BASE_L4 0xffff888000000000UL
#define __PAGE_OFFSET_BASE_L5 0xff11000000000000UL

/* include/linux/skbuff.h */
#define skb_rx_queue_recorded(skb) ((skb)->queue_mapping != 0)
#define skb_get_rx_queue(skb) ((u16)((skb)->queue_mapping - 1))
#define skb_get_queue_mapping(skb) ((skb)->queue_mapping)

/* include/linux/scatterlist.h */
#define SG_CHAIN 1UL
#define SG_END 2UL
#define SG_PAGE_LINK_MASK (SG_CHAIN | SG_END)
#define sg_is_chain(sg) ((sg)->page_link & SG_CHAIN)
#define sg_is_last(sg) ((sg)->page_link & SG_END)
#define sg_chain_ptr(sg) ((struct scatterlist *)((sg)->page_link & ~SG_PAGE_LINK_MASK))
#define sg_page(sg) ((struct page *)((sg)->page_link & ~SG_PAGE_LINK_MASK))

/* include/linux/sched.h */
#define TASK_RUNNING 0x0
#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define __TASK_STOPPED 0x4
#define __TASK_TRACED 0x8
#define EXIT_DEAD 0x10
#define EXIT_ZOMBIE 0x20
#define TASK_PARKED 0x40
#define TASK_DEAD 0x80
#define TASK_WAKEKILL 0x100
#define TASK_WAKING 0x200
#define TASK_NOLOAD 0x400
#define TASK_NEW 0x800
#define TASK_KILLABLE (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_IDLE (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)
#define PF_IDLE 0x00000002
#define PF_EXITING 0x00000004
#define PF_WQ_WORKER 0x00000020
#define PF_SUPERPRIV 0x00000100
#define PF_MEMALLOC 0x00000800
#define PF_KSWAPD 0x00020000
#define PF_KTHREAD 0x00200000

/* include/linux/socket.h, include/uapi/linux/in.h, if_ether.h, tcp.h */
#define TCPHDR_FIN 0x01
#define TCPHDR_SYN 0x02
#define TCPHDR_RST 0x04
#define TCPHDR_PSH 0x08
#define TCPHDR_ACK 0x10
#define inet_sk(sk) ((struct inet_sock *)(sk))
#define tcp_sk(sk) ((struct tcp_sock *)(sk))
#define udp_sk(sk) ((struct udp_sock *)(sk))
#define unix_sk(sk) ((struct unix_sock *)(sk))
#define inet_csk(sk) ((struct inet_connection_sock *)(sk))
#define inet_rsk(sk) ((struct inet_request_sock *)(sk))
#define tcp_rsk(sk) ((struct tcp_request_sock *)(sk))
/* include/net/sock.h, include/net/inet_timewait_sock.h */
#define sk_node __sk_common.skc_node
#define sk_dport __sk_common.skc_dport
#define sk_num __sk_common.skc_num
#define sk_daddr __sk_common.skc_daddr
#define sk_rcv_saddr __sk_common.skc_rcv_saddr
#define sk_family __sk_common.skc_family
#define sk_state __sk_common.skc_state
#define sk_net __sk_common.skc_net
#define sk_v6_daddr __sk_common.skc_v6_daddr
#define sk_v6_rcv_saddr __sk_common.skc_v6_rcv_saddr
#define sk_cookie __sk_common.skc_cookie
#define sk_flags __sk_common.skc_flags
#define inet_daddr sk.__sk_common.skc_daddr
#define inet_rcv_saddr sk.__sk_common.skc_rcv_saddr
#define inet_dport sk.__sk_common.skc_dport
#define inet_num sk.__sk_common.skc_num
#define s6_addr in6_u.u6_addr8
#define s6_addr16 in6_u.u6_addr16
#define s6_addr32 in6_u.u6_addr32

/* include/linux/security.h */
#define CAP_OPT_NONE 0x0
#define CAP_OPT_NOAUDIT (1U << 1)
#define CAP_OPT_INSETID (1U << 2)

/* include/uapi/linux/bpf.h, pkt_cls.h */
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_EXIST 2
#define BPF_F_LOCK 4
#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_F_NO_COMMON_LRU (1U << 1)
#define BPF_F_SKIP_FIELD_MASK 0xffULL
#define BPF_F_USER_STACK (1ULL << 8)
#define BPF_F_FAST_STACK_CMP (1ULL << 9)
#define BPF_F_REUSE_STACKID (1ULL << 10)
#define BPF_F_USER_BUILD_ID (1ULL << 11)
#define BPF_F_INDEX_MASK 0xffffffffULL
#define BPF_F_CURRENT_CPU BPF_F_INDEX_MASK
#define CUR_CPU_IDENTIFIER BPF_F_CURRENT_CPU
#define BPF_F_CTXLEN_MASK (0xfffffULL << 32)
#define BPF_F_INGRESS (1ULL << 0)
#define BPF_F_RECOMPUTE_CSUM (1ULL << 0)
#define BPF_F_INVALIDATE_HASH (1ULL << 1)
#define BPF_F_HDR_FIELD_MASK 0xfULL
#define BPF_F_PSEUDO_HDR (1ULL << 4)
#define BPF_RB_NO_WAKEUP (1ULL << 0)
#define BPF_RB_FORCE_WAKEUP (1ULL << 1)
#define BPF_RB_AVAIL_DATA 0
#define BPF_RB_RING_SIZE 1
#define BPF_RB_CONS_POS 2
#define BPF_RB_PROD_POS 3
#define BPF_LOCAL_STORAGE_GET_F_CREATE (1ULL << 0)
#define BPF_SK_STORAGE_GET_F_CREATE BPF_LOCAL_STORAGE_GET_F_CREATE
#define TC_ACT_UNSPEC (-1)
#define TC_ACT_OK 0
#define TC_ACT_RECLASSIFY 1
#define TC_ACT_SHOT 2
#define TC_ACT_PIPE 3
#define TC_ACT_REDIRECT 7
