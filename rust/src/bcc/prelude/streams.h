/* Maps without keys: queues, stacks, and streams of records. */

/* Queues and stacks: values without keys. */
#define __rtrace_queue(name, map_type, V, size, flags) \
	typedef __typeof__(V) name##__value_t; \
	struct { \
		int(*type)[map_type]; \
		name##__value_t *value; \
		__rtrace_map_entries(size, flags) \
	} name##__map SEC(".maps"); \
	static __rtrace_method long name##__push(const name##__value_t *value, u64 push_flags) \
	{ \
		return bpf_map_push_elem(&name##__map, value, push_flags); \
	} \
	static __rtrace_method long name##__pop(name##__value_t *value) \
	{ \
		return bpf_map_pop_elem(&name##__map, value); \
	} \
	static __rtrace_method long name##__peek(name##__value_t *value) \
	{ \
		return bpf_map_peek_elem(&name##__map, value); \
	} \
	static const struct { \
		long (*push)(const name##__value_t *, u64); \
		long (*pop)(name##__value_t *); \
		long (*peek)(name##__value_t *); \
	} name __attribute__((unused)) = { name##__push, name##__pop, name##__peek };
#define __rtrace_queue_3(map_type, name, V, size) __rtrace_queue(name, map_type, V, size, 0)
#define __rtrace_queue_4(map_type, name, V, size, flags) __rtrace_queue(name, map_type, V, size, flags)
#define BPF_QUEUE(...) __rtrace_pick4(__VA_ARGS__, __rtrace_queue_4, __rtrace_queue_3, , )(22, __VA_ARGS__)
#define BPF_STACK(...) __rtrace_pick4(__VA_ARGS__, __rtrace_queue_4, __rtrace_queue_3, , )(23, __VA_ARGS__)

/* Streams of records. Where a record comes from tells its type: a variable that points to it, in a section of its own,
 * carries it to the object's type information. */
#define __rtrace_event(map, data) \
	static __typeof__(&*(data)) __rtrace_join(__rtrace_event_, map) __attribute__((section(".rtrace.events"), used))

#define BPF_PERF_OUTPUT(name) \
	__rtrace_sized_map(name, 4, 4, 4, 0, 0) \
	static __rtrace_method long name##__perf_submit(void *ctx, void *data, u64 size) \
	{ \
		return bpf_perf_event_output(ctx, &name##__map, 0xffffffffULL, data, size); \
	} \
	static __rtrace_method long name##__perf_submit_skb(void *ctx, u32 packet_bytes, void *data, u64 size) \
	{ \
		return bpf_perf_event_output(ctx, &name##__map, (u64)packet_bytes << 32 | 0xffffffffULL, data, size); \
	} \
	static const struct { \
		long (*perf_submit)(void *, void *, u64); \
		long (*perf_submit_skb)(void *, u32, void *, u64); \
	} name __attribute__((unused)) = { name##__perf_submit, name##__perf_submit_skb };
#define __rtrace_perf_submit(map, ctx, data, ...) \
	({ \
		__rtrace_event(map, data); \
		map.perf_submit(ctx, data, __VA_ARGS__); \
	})
#define __rtrace_perf_submit_skb(map, ctx, packet_bytes, data, ...) \
	({ \
		__rtrace_event(map, data); \
		map.perf_submit_skb(ctx, packet_bytes, data, __VA_ARGS__); \
	})

/* What finds no room is counted: the kernel itself keeps no count for ring buffers. */
#define BPF_RINGBUF_OUTPUT(name, pages) \
	struct { \
		int(*type)[27]; \
		int(*max_entries)[(pages) * PAGE_SIZE]; \
	} name##__map SEC(".maps"); \
	__rtrace_typed_map(name##__lost, 6, u32, u64, 1, 0) \
	static __rtrace_method void name##__count_lost(void) \
	{ \
		u32 zero = 0; \
		u64 *lost = bpf_map_lookup_elem(&name##__lost__map, &zero); \
		if (lost) \
			*lost += 1; \
	} \
	static __rtrace_method long name##__ringbuf_output(void *data, u64 size, u64 flags) \
	{ \
		long error = bpf_ringbuf_output(&name##__map, data, size, flags); \
		if (error) \
			name##__count_lost(); \
		return error; \
	} \
	static __rtrace_method void *name##__ringbuf_reserve(u64 size) \
	{ \
		void *record = bpf_ringbuf_reserve(&name##__map, size, 0); \
		if (!record) \
			name##__count_lost(); \
		return record; \
	} \
	static __rtrace_method void name##__ringbuf_submit(void *record, u64 flags) \
	{ \
		bpf_ringbuf_submit(record, flags); \
	} \
	static __rtrace_method void name##__ringbuf_discard(void *record, u64 flags) \
	{ \
		bpf_ringbuf_discard(record, flags); \
	} \
	static __rtrace_method u64 name##__ringbuf_query(u64 flags) \
	{ \
		return bpf_ringbuf_query(&name##__map, flags); \
	} \
	static const struct { \
		long (*ringbuf_output)(void *, u64, u64); \
		void *(*ringbuf_reserve)(u64); \
		void (*ringbuf_submit)(void *, u64); \
		void (*ringbuf_discard)(void *, u64); \
		u64 (*ringbuf_query)(u64); \
	} name __attribute__((unused)) = { \
		name##__ringbuf_output, name##__ringbuf_reserve, name##__ringbuf_submit, name##__ringbuf_discard, \
		name##__ringbuf_query, \
	};
#define __rtrace_ringbuf_output(map, data, ...) \
	({ \
		__rtrace_event(map, data); \
		map.ringbuf_output(data, __VA_ARGS__); \
	})
#define __rtrace_ringbuf_submit(map, data, ...) \
	({ \
		__rtrace_event(map, data); \
		map.ringbuf_submit(data, __VA_ARGS__); \
	})
