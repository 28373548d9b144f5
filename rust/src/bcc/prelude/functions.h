/* Functions that programs call as if the kernel had them. */

/* The format is a literal or an array; it is copied to the stack, where every kernel reads it. */
#define __rtrace_printk_call(format, ...) \
	({ \
		char __rtrace_format[sizeof(format)]; \
		__builtin_memcpy(__rtrace_format, format, sizeof(format)); \
		bpf_trace_printk_(__rtrace_format, sizeof(format), ##__VA_ARGS__); \
	})
/* More than three arguments: Linux 5.16 or newer. */
#define __rtrace_printk_many(format, ...) \
	({ \
		char __rtrace_format[sizeof(format)]; \
		__builtin_memcpy(__rtrace_format, format, sizeof(format)); \
		_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wint-conversion\"") \
		unsigned long long __rtrace_values[] = { __VA_ARGS__ }; \
		_Pragma("GCC diagnostic pop") \
		bpf_trace_vprintk(__rtrace_format, sizeof(format), __rtrace_values, sizeof(__rtrace_values)); \
	})
#define __rtrace_pick_printk(format, a, b, c, d, e, f, g, h, i, j, k, l, picked, ...) picked
#define bpf_trace_printk(...) \
	__rtrace_pick_printk(__VA_ARGS__, __rtrace_printk_many, __rtrace_printk_many, __rtrace_printk_many, \
			     __rtrace_printk_many, __rtrace_printk_many, __rtrace_printk_many, __rtrace_printk_many, \
			     __rtrace_printk_many, __rtrace_printk_many, __rtrace_printk_call, __rtrace_printk_call, \
			     __rtrace_printk_call, __rtrace_printk_call)(__VA_ARGS__)
#define bpf_printk(...) bpf_trace_printk(__VA_ARGS__)

#define lock_xadd(target, amount) ((void)__sync_fetch_and_add(target, amount))

/* Position of the highest bit that is set; `bpf_log2l` counts it from 1: 0 and 1 give 1, 2 and 3 give 2, 4 to 7 give 3. */
static __rtrace_method unsigned int bpf_log2(unsigned int v)
{
	unsigned int shift, found;
	found = (v > 0xffff) << 4;
	v >>= found;
	shift = (v > 0xff) << 3;
	v >>= shift;
	found |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	found |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	found |= shift | (v >> 1);
	return found;
}
static __rtrace_method unsigned int bpf_log2l(unsigned long v)
{
	unsigned int high = v >> 32;
	return (high ? bpf_log2(high) + 32 : bpf_log2(v)) + 1;
}

/* So many of the lowest bits. */
#define MASK(bits) ((bits) < 64 ? (1ULL << (bits)) - 1 : ~0ULL)

#define bpf_num_cpus() __rtrace_possible_cpus

/* USDT: rtrace puts the function that asks in front; the functions that read the arguments of its probe come with the
 * probe. */
#define __rtrace_usdt_readarg(function, n, ctx, to) _bpf_readarg_##function##_##n((ctx), (to), sizeof(*(to)))
#define __rtrace_usdt_readarg_p(function, n, ctx, to, bytes) \
	({ \
		u64 __rtrace_address = 0; \
		_bpf_readarg_##function##_##n((ctx), &__rtrace_address, sizeof(__rtrace_address)); \
		bpf_probe_read_user((to), (bytes), (void *)__rtrace_address); \
	})
