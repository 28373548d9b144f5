// Who reads /dev/urandom: one line for each read, with the number of bits. For kernels that have the tracepoint.

TRACEPOINT_PROBE(random, urandom_read)
{
	bpf_trace_printk("%d\n", args->got_bits);
	return 0;
}
