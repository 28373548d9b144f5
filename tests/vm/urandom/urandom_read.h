/* SPDX-License-Identifier: GPL-2.0-only */
/* The tracepoint random:urandom_read with the fields and the text that Linux had until 5.17. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM random

#if !defined(RTRACE_URANDOM_READ_H) || defined(TRACE_HEADER_MULTI_READ)
#define RTRACE_URANDOM_READ_H

#include <linux/tracepoint.h>

TRACE_EVENT(urandom_read,
	TP_PROTO(int got_bits, int pool_left, int input_left),
	TP_ARGS(got_bits, pool_left, input_left),
	TP_STRUCT__entry(
		__field(int, got_bits)
		__field(int, pool_left)
		__field(int, input_left)
	),
	TP_fast_assign(
		__entry->got_bits = got_bits;
		__entry->pool_left = pool_left;
		__entry->input_left = input_left;
	),
	TP_printk("got_bits %d nonblocking_pool_entropy_left %d input_entropy_left %d",
		  __entry->got_bits, __entry->pool_left, __entry->input_left)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE urandom_read
#include <trace/define_trace.h>
