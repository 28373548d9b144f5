/* Programs: how they are declared, and how they get at what they were called with. */

/* What the rewritten head of a program with typed arguments says. A bool is one byte in its register. */
#define __rtrace_argument(name, value) \
	((__typeof__(name))__builtin_choose_expr(__builtin_types_compatible_p(__typeof__(name), bool), (u8)(value), (value)))
#define __rtrace_register(ctx, n) __rtrace_join(PT_REGS_PARM, n)((struct pt_regs *)(ctx))
#define __rtrace_system_call_register(ctx, n) __rtrace_join(__rtrace_system_call_parameter, n)(PT_REGS_SYSCALL_CTX(ctx))
#define __rtrace_element(ctx, n) (((u64 *)(ctx))[(n) - 1])

#if defined(__x86_64__)
#define PT_REGS_PARM1(ctx) ((ctx)->di)
#define PT_REGS_PARM2(ctx) ((ctx)->si)
#define PT_REGS_PARM3(ctx) ((ctx)->dx)
#define PT_REGS_PARM4(ctx) ((ctx)->cx)
#define PT_REGS_PARM5(ctx) ((ctx)->r8)
#define PT_REGS_PARM6(ctx) ((ctx)->r9)
#define PT_REGS_FP(ctx) ((ctx)->bp)
#define PT_REGS_RC(ctx) ((ctx)->ax)
#define PT_REGS_IP(ctx) ((ctx)->ip)
#define PT_REGS_SP(ctx) ((ctx)->sp)
#define PT_REGS_RET(ctx) ((ctx)->sp)
#define __rtrace_system_call_parameter4(ctx) ((ctx)->r10)
#elif defined(__aarch64__)
#define PT_REGS_PARM1(ctx) ((ctx)->regs[0])
#define PT_REGS_PARM2(ctx) ((ctx)->regs[1])
#define PT_REGS_PARM3(ctx) ((ctx)->regs[2])
#define PT_REGS_PARM4(ctx) ((ctx)->regs[3])
#define PT_REGS_PARM5(ctx) ((ctx)->regs[4])
#define PT_REGS_PARM6(ctx) ((ctx)->regs[5])
#define PT_REGS_FP(ctx) ((ctx)->regs[29])
#define PT_REGS_RC(ctx) ((ctx)->regs[0])
#define PT_REGS_IP(ctx) ((ctx)->pc)
#define PT_REGS_SP(ctx) ((ctx)->sp)
#define PT_REGS_RET(ctx) ((ctx)->regs[30])
#define __rtrace_system_call_parameter4(ctx) ((ctx)->regs[3])
#endif
#define __rtrace_system_call_parameter1 PT_REGS_PARM1
#define __rtrace_system_call_parameter2 PT_REGS_PARM2
#define __rtrace_system_call_parameter3 PT_REGS_PARM3
#define __rtrace_system_call_parameter5 PT_REGS_PARM5
#define __rtrace_system_call_parameter6 PT_REGS_PARM6
#define PT_REGS_PARM1_SYSCALL(ctx) __rtrace_system_call_parameter1(ctx)
#define PT_REGS_PARM2_SYSCALL(ctx) __rtrace_system_call_parameter2(ctx)
#define PT_REGS_PARM3_SYSCALL(ctx) __rtrace_system_call_parameter3(ctx)
#define PT_REGS_PARM4_SYSCALL(ctx) __rtrace_system_call_parameter4(ctx)
#define PT_REGS_PARM5_SYSCALL(ctx) __rtrace_system_call_parameter5(ctx)
#define PT_REGS_PARM6_SYSCALL(ctx) __rtrace_system_call_parameter6(ctx)
/* System calls get their arguments in the registers of the process, which their only parameter points to. */
#define PT_REGS_SYSCALL_CTX(ctx) ((struct pt_regs *)PT_REGS_PARM1((struct pt_regs *)(ctx)))
#define bpf_syscall_regs(ctx) PT_REGS_SYSCALL_CTX(ctx)

#define TRACEPOINT_PROBE(category, event) \
	SEC("tracepoint/" #category "/" #event) \
	int tracepoint__##category##__##event(struct tracepoint__##category##__##event *args)

#define RAW_TRACEPOINT_PROBE(event) \
	SEC("raw_tracepoint/" #event) int raw_tracepoint__##event(struct bpf_raw_tracepoint_args *ctx)

#define BPF_ITER(target) SEC("iter/" #target) int bpf_iter__##target(struct bpf_iter__##target *ctx)

/* Trampolines get an array of numbers; the body has them as parameters. */
#define __rtrace_count(...) __rtrace_count_(, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define __rtrace_count_(z, a, b, c, d, e, f, g, h, i, j, k, l, count, ...) count
#define __rtrace_elements0
#define __rtrace_elements1 , ctx[0]
#define __rtrace_elements2 __rtrace_elements1, ctx[1]
#define __rtrace_elements3 __rtrace_elements2, ctx[2]
#define __rtrace_elements4 __rtrace_elements3, ctx[3]
#define __rtrace_elements5 __rtrace_elements4, ctx[4]
#define __rtrace_elements6 __rtrace_elements5, ctx[5]
#define __rtrace_elements7 __rtrace_elements6, ctx[6]
#define __rtrace_elements8 __rtrace_elements7, ctx[7]
#define __rtrace_elements9 __rtrace_elements8, ctx[8]
#define __rtrace_elements10 __rtrace_elements9, ctx[9]
#define __rtrace_elements11 __rtrace_elements10, ctx[10]
#define __rtrace_elements12 __rtrace_elements11, ctx[11]
#define __rtrace_trampoline(section, name, ...) \
	static __rtrace_inline int __rtrace_body_##name(unsigned long long *ctx, ##__VA_ARGS__); \
	SEC(section) int name(unsigned long long *ctx) \
	{ \
		_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wint-conversion\"") \
		return __rtrace_body_##name(ctx __rtrace_join(__rtrace_elements, __rtrace_count(__VA_ARGS__))); \
		_Pragma("GCC diagnostic pop") \
	} \
	static __rtrace_inline int __rtrace_body_##name(unsigned long long *ctx, ##__VA_ARGS__)
#define KFUNC_PROBE(function, ...) __rtrace_trampoline("fentry/" #function, kfunc__vmlinux__##function, ##__VA_ARGS__)
#define KRETFUNC_PROBE(function, ...) \
	__rtrace_trampoline("fexit/" #function, kretfunc__vmlinux__##function, ##__VA_ARGS__)
#define MODULE_KFUNC_PROBE(module, function, ...) \
	__rtrace_trampoline("fentry/" #function, kfunc__##module##__##function, ##__VA_ARGS__)
#define MODULE_KRETFUNC_PROBE(module, function, ...) \
	__rtrace_trampoline("fexit/" #function, kretfunc__##module##__##function, ##__VA_ARGS__)
#define KMOD_RET(function, ...) \
	__rtrace_trampoline("fmod_ret/" #function, kmod_ret__vmlinux__##function, ##__VA_ARGS__)
#define LSM_PROBE(hook, ...) __rtrace_trampoline("lsm/" #hook, lsm__##hook, ##__VA_ARGS__)

/* Dynamic fields of tracepoints: where they lie in the record in the lower 16 bits, how long they are in the others. */
#define TP_DATA_LOC_READ_CONST(dst, field, length) \
	bpf_probe_read_kernel((dst), (length), (char *)args + (args->data_loc_##field & 0xffff))
#define TP_DATA_LOC_READ(dst, field) \
	TP_DATA_LOC_READ_CONST(dst, field, (u16)(args->data_loc_##field >> 16))
#define TP_DATA_LOC_READ_STR(dst, field, length) \
	bpf_probe_read_kernel_str((dst), (length), (char *)args + (args->data_loc_##field & 0xffff))
