/* Base types and the contexts of programs: what everything else refers to, so it comes first. */

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

typedef signed char s8, __s8, int8_t;
typedef unsigned char u8, __u8, uint8_t, u_char, unchar;
typedef short s16, __s16, int16_t;
typedef unsigned short u16, __u16, uint16_t, __le16, __be16, __sum16, u_short, ushort;
typedef int s32, __s32, int32_t;
typedef unsigned int u32, __u32, uint32_t, __le32, __be32, __wsum, u_int, uint;
typedef long long s64, __s64;
typedef unsigned long long u64, __u64, __le64, __be64;
typedef s64 int64_t;
typedef u64 uint64_t;
typedef unsigned long size_t, uintptr_t, u_long, ulong;
typedef long ssize_t, intptr_t, ptrdiff_t;
typedef __builtin_va_list va_list;

/* What the kernel's sources annotate types with. */
#define __user
#define __kernel
#define __rcu
#define __percpu
#define __iomem
#define __force
#define __bitwise
#define __must_check __attribute__((warn_unused_result))
#define __always_unused __attribute__((unused))
#define __maybe_unused __attribute__((unused))
#define __packed __attribute__((packed))
#define __aligned(x) __attribute__((aligned(x)))
#define __always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define __read_mostly
#define __init
#define __exit
#define SEC(name) __attribute__((section(name), used))

#define __rtrace_inline inline __attribute__((always_inline, unused))
/* rtrace's own functions have no lines: what they become belongs to the line of the user's that calls them, which is the
 * one that the verifier should speak of. */
#define __rtrace_method inline __attribute__((always_inline, unused, nodebug))
/* Adds without asking for the value before: Linux 5.10 has no instruction that does, and new compilers take the one that
 * does unless the order does not matter. */
#define __sync_fetch_and_add(target, amount) __atomic_fetch_add((target), (amount), __ATOMIC_RELAXED)
#define __rtrace_join_(a, b) a##b
#define __rtrace_join(a, b) __rtrace_join_(a, b)

/* Contexts are read where the kernel puts them: no relocation by field name, which would break the verifier's rule
 * that a context is only ever read at a fixed offset from its start. */
#if defined(__x86_64__)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
typedef struct pt_regs bpf_user_pt_regs_t;
#elif defined(__aarch64__)
struct user_pt_regs {
	u64 regs[31];
	u64 sp, pc, pstate;
};
struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct {
			u64 regs[31];
			u64 sp, pc, pstate;
		};
	};
	u64 orig_x0;
};
typedef struct user_pt_regs bpf_user_pt_regs_t;
#else
#error "programs in bcc's dialect are compiled on x86-64 and arm64"
#endif

struct bpf_raw_tracepoint_args {
	u64 args[0];
};

struct bpf_perf_event_data {
	bpf_user_pt_regs_t regs;
	u64 sample_period;
	u64 addr;
};

struct bpf_perf_event_value {
	u64 counter;
	u64 enabled;
	u64 running;
};

struct bpf_pidns_info {
	u32 pid;
	u32 tgid;
};

struct bpf_stack_build_id {
	s32 status;
	unsigned char build_id[20];
	union {
		u64 offset;
		u64 ip;
	};
};
