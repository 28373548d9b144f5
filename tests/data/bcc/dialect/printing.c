// bpf_trace_printk with formats of every kind.
#define FORMAT "macro %d\n"

int print(struct pt_regs *ctx, const char *text)
{
	char format[] = "array %d\n";
	u8 small = 1;

	bpf_trace_printk("none\n");
	bpf_trace_printk("one %d\n", small);
	bpf_trace_printk("a longer one " "in two strings %d %s\n", small, text);
	bpf_trace_printk("three %d %llx %s\n", 1, 2ULL, text);
	bpf_trace_printk(format, 1);
	bpf_trace_printk(FORMAT, 1);
	bpf_trace_printk("five %d %d %d %d %s\n", 1, 2, 3, 4, text);
	bpf_printk("the other name\n");
	return 0;
}
