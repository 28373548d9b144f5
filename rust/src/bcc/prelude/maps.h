/* Maps and their methods. `BPF_HASH(start, u32)` makes the map `start__map`, functions like `start__lookup` and a
 * constant struct `start` of pointers to them: the compiler folds the calls and inlines the functions, so that
 * `start.lookup(&key)` works wherever C takes an expression. */

#define __rtrace_pick6(a, b, c, d, e, f, picked, ...) picked
#define __rtrace_map_entries(size, flags) \
	int(*max_entries)[size]; \
	int(*map_flags)[flags];

/* A map with keys and values that have types, and one where the kernel knows only sizes. */
#define __rtrace_typed_map(name, map_type, K, V, size, flags) \
	typedef __typeof__(K) name##__key_t; \
	typedef __typeof__(V) name##__value_t; \
	struct { \
		int(*type)[map_type]; \
		name##__key_t *key; \
		name##__value_t *value; \
		__rtrace_map_entries(size, flags) \
	} name##__map SEC(".maps");
#define __rtrace_sized_map(name, map_type, key_bytes, value_bytes, size, flags) \
	struct { \
		int(*type)[map_type]; \
		int(*key_size)[key_bytes]; \
		int(*value_size)[value_bytes]; \
		__rtrace_map_entries(size, flags) \
	} name##__map SEC(".maps");

/* Sizes that do not occur are left out by the compiler. */
#define __rtrace_add(value, amount) \
	({ \
		if (sizeof(*(value)) == 8) \
			*(u64 *)(value) += (amount); \
		else if (sizeof(*(value)) == 4) \
			*(u32 *)(value) += (amount); \
		else if (sizeof(*(value)) == 2) \
			*(u16 *)(value) += (amount); \
		else \
			*(u8 *)(value) += (amount); \
	})
#define __rtrace_atomic_add(value, amount) \
	({ \
		if (sizeof(*(value)) == 8) \
			__sync_fetch_and_add((u64 *)(value), (amount)); \
		else \
			__sync_fetch_and_add((u32 *)(value), (amount)); \
	})

/* An absent key is inserted, where the map is no array; if another CPU was faster, it is there to add to. */
#define __rtrace_increment_function(name, function, add, is_array) \
	static __rtrace_inline void name##__##function(name##__key_t key, u64 amount) \
	{ \
		name##__value_t *value = bpf_map_lookup_elem(&name##__map, &key); \
		if (!value && !(is_array)) { \
			name##__value_t first; \
			__builtin_memset(&first, 0, sizeof(first)); \
			__rtrace_add(&first, amount); \
			if (!bpf_map_update_elem(&name##__map, &key, &first, 1)) \
				return; \
			value = bpf_map_lookup_elem(&name##__map, &key); \
		} \
		if (value) \
			add(value, amount); \
	}

#define __rtrace_keyed_methods(name, is_array) \
	static __rtrace_inline name##__value_t *name##__lookup(const name##__key_t *key) \
	{ \
		return bpf_map_lookup_elem(&name##__map, key); \
	} \
	static __rtrace_inline name##__value_t *name##__lookup_or_try_init(const name##__key_t *key, \
									    const name##__value_t *first) \
	{ \
		name##__value_t *value = bpf_map_lookup_elem(&name##__map, key); \
		if (value) \
			return value; \
		bpf_map_update_elem(&name##__map, key, first, 1); \
		return bpf_map_lookup_elem(&name##__map, key); \
	} \
	static __rtrace_inline long name##__update(const name##__key_t *key, const name##__value_t *value) \
	{ \
		return bpf_map_update_elem(&name##__map, key, value, 0); \
	} \
	static __rtrace_inline long name##__insert(const name##__key_t *key, const name##__value_t *value) \
	{ \
		return bpf_map_update_elem(&name##__map, key, value, 1); \
	} \
	static __rtrace_inline long name##__delete(const name##__key_t *key) \
	{ \
		return bpf_map_delete_elem(&name##__map, key); \
	} \
	__rtrace_increment_function(name, increment_by, __rtrace_add, is_array) \
	__rtrace_increment_function(name, atomic_increment_by, __rtrace_atomic_add, is_array) \
	static const struct { \
		name##__value_t *(*lookup)(const name##__key_t *); \
		name##__value_t *(*lookup_or_try_init)(const name##__key_t *, const name##__value_t *); \
		long (*update)(const name##__key_t *, const name##__value_t *); \
		long (*insert)(const name##__key_t *, const name##__value_t *); \
		long (*delete)(const name##__key_t *); \
		void (*increment_by)(name##__key_t, u64); \
		void (*atomic_increment_by)(name##__key_t, u64); \
	} name __attribute__((unused)) = { \
		name##__lookup, name##__lookup_or_try_init, name##__update, name##__insert, name##__delete, \
		name##__increment_by, name##__atomic_increment_by, \
	};

/* The amount may be left out. */
#define __rtrace_pick2(a, b, picked, ...) picked
#define __rtrace_increment_1(method, key) method((key), 1)
#define __rtrace_increment_2(method, key, amount) method((key), (amount))
#define __rtrace_increment(method, ...) \
	__rtrace_pick2(__VA_ARGS__, __rtrace_increment_2, __rtrace_increment_1)(method, __VA_ARGS__)
#ifdef __rtrace_uses_increment
#define increment(...) __rtrace_increment(increment_by, __VA_ARGS__)
#endif
#ifdef __rtrace_uses_atomic_increment
#define atomic_increment(...) __rtrace_increment(atomic_increment_by, __VA_ARGS__)
#endif

/* Leaves the program where the key is neither there nor can be inserted. */
#define __rtrace_lookup_or_init(map, ...) \
	({ \
		__typeof__(map.lookup_or_try_init(__VA_ARGS__)) __rtrace_found = map.lookup_or_try_init(__VA_ARGS__); \
		if (!__rtrace_found) \
			return 0; \
		__rtrace_found; \
	})

#define __rtrace_keyed_map(name, map_type, K, V, size, flags, is_array) \
	__rtrace_typed_map(name, map_type, K, V, size, flags) __rtrace_keyed_methods(name, is_array)

#define __rtrace_table_hash(K, V, name, size, flags) __rtrace_keyed_map(name, 1, K, V, size, flags, 0)
#define __rtrace_table_array(K, V, name, size, flags) __rtrace_keyed_map(name, 2, u32, V, size, flags, 1)
#define __rtrace_table_percpu_hash(K, V, name, size, flags) __rtrace_keyed_map(name, 5, K, V, size, flags, 0)
#define __rtrace_table_percpu_array(K, V, name, size, flags) __rtrace_keyed_map(name, 6, u32, V, size, flags, 1)
#define __rtrace_table_lru_hash(K, V, name, size, flags) __rtrace_keyed_map(name, 9, K, V, size, flags, 0)
#define __rtrace_table_lru_percpu_hash(K, V, name, size, flags) __rtrace_keyed_map(name, 10, K, V, size, flags, 0)
/* Tries are never allocated in advance. */
#define __rtrace_table_lpm_trie(K, V, name, size, flags) __rtrace_keyed_map(name, 11, K, V, size, (flags) | 1, 0)
#define __rtrace_is_int(K) __builtin_types_compatible_p(__typeof__(K), int)
/* The name of the value's type tells whoever looks at the object that these are counts by slot. */
#define __rtrace_table_histogram(K, V, name, size, flags) \
	typedef __typeof__(V) name##__histogram_t; \
	__rtrace_keyed_map(name, __rtrace_is_int(K) ? 2 : 1, K, name##__histogram_t, size, flags, __rtrace_is_int(K))
#define __rtrace_table_prog(K, V, name, size, flags) BPF_PROG_ARRAY(name, size)
#define __rtrace_table_perf_output(K, V, name, size, flags) BPF_PERF_OUTPUT(name)
#define __rtrace_table_perf_array(K, V, name, size, flags) BPF_PERF_ARRAY(name, size)
#define __rtrace_table_cgroup_array(K, V, name, size, flags) BPF_CGROUP_ARRAY(name, size)
#define __rtrace_table_stacktrace(K, V, name, size, flags) BPF_STACK_TRACE(name, size)
#define __rtrace_table_queue(K, V, name, size, flags) __rtrace_queue(name, 22, V, size, flags)
#define __rtrace_table_stack(K, V, name, size, flags) __rtrace_queue(name, 23, V, size, flags)
#define __rtrace_table_devmap(K, V, name, size, flags) BPF_DEVMAP(name, size)
#define __rtrace_table_cpumap(K, V, name, size, flags) BPF_CPUMAP(name, size)
#define __rtrace_table_xskmap(K, V, name, size, flags) BPF_XSKMAP(name, size)
#define __rtrace_table_sockmap(K, V, name, size, flags) BPF_SOCKMAP(name, size)
#define __rtrace_table_sockhash(K, V, name, size, flags) __rtrace_sockhash(name, K, size)

/* The type of a table is a name here; rtrace has taken the quotes off. */
#define BPF_F_TABLE(type, K, V, name, size, flags) __rtrace_join(__rtrace_table_, type)(K, V, name, size, flags)
#define BPF_TABLE(type, K, V, name, size) BPF_F_TABLE(type, K, V, name, size, 0)
#define BPF_TABLE_PUBLIC(type, K, V, name, size) BPF_F_TABLE(type, K, V, name, size, 0)
#define BPF_TABLE_SHARED(type, K, V, name, size) BPF_F_TABLE(type, K, V, name, size, 0)

#define __rtrace_pick5(a, b, c, d, e, picked, ...) picked
#define __rtrace_of_hash(type, name, K, V, size, ...) BPF_F_TABLE(type, K, V, name, size, 0)
#define __rtrace_hash_1(type, name) __rtrace_of_hash(type, name, u64, u64, 10240)
#define __rtrace_hash_2(type, name, K) __rtrace_of_hash(type, name, K, u64, 10240)
#define __rtrace_hash_3(type, name, K, V) __rtrace_of_hash(type, name, K, V, 10240)
#define __rtrace_hash_4(type, name, K, V, size) __rtrace_of_hash(type, name, K, V, size)
#define __rtrace_hash_5(type, name, K, V, size, flags) BPF_F_TABLE(type, K, V, name, size, flags)
#define __rtrace_hash(type, ...) \
	__rtrace_pick5(__VA_ARGS__, __rtrace_hash_5, __rtrace_hash_4, __rtrace_hash_3, __rtrace_hash_2, \
		       __rtrace_hash_1)(type, __VA_ARGS__)
#define BPF_HASH(...) __rtrace_hash(hash, __VA_ARGS__)
#define BPF_PERCPU_HASH(...) __rtrace_hash(percpu_hash, __VA_ARGS__)
#define BPF_LRU_HASH(...) __rtrace_hash(lru_hash, __VA_ARGS__)
#define BPF_LRU_PERCPU_HASH(...) __rtrace_hash(lru_percpu_hash, __VA_ARGS__)
#define BPF_LPM_TRIE(...) __rtrace_hash(lpm_trie, __VA_ARGS__)

#define __rtrace_pick4(a, b, c, d, picked, ...) picked
#define __rtrace_array_1(type, name) BPF_F_TABLE(type, int, u64, name, 10240, 0)
#define __rtrace_array_2(type, name, V) BPF_F_TABLE(type, int, V, name, 10240, 0)
#define __rtrace_array_3(type, name, V, size) BPF_F_TABLE(type, int, V, name, size, 0)
#define __rtrace_array_4(type, name, V, size, flags) BPF_F_TABLE(type, int, V, name, size, flags)
#define __rtrace_array(type, ...) \
	__rtrace_pick4(__VA_ARGS__, __rtrace_array_4, __rtrace_array_3, __rtrace_array_2, \
		       __rtrace_array_1)(type, __VA_ARGS__)
#define BPF_ARRAY(...) __rtrace_array(array, __VA_ARGS__)
#define BPF_PERCPU_ARRAY(...) __rtrace_array(percpu_array, __VA_ARGS__)

#define __rtrace_pick3(a, b, c, picked, ...) picked
#define __rtrace_histogram_1(name) BPF_F_TABLE(histogram, int, u64, name, 64, 0)
#define __rtrace_histogram_2(name, K) BPF_F_TABLE(histogram, K, u64, name, 64, 0)
#define __rtrace_histogram_3(name, K, size) BPF_F_TABLE(histogram, K, u64, name, size, 0)
#define BPF_HISTOGRAM(...) \
	__rtrace_pick3(__VA_ARGS__, __rtrace_histogram_3, __rtrace_histogram_2, __rtrace_histogram_1)(__VA_ARGS__)

/* Queues and stacks: values without keys. */
#define __rtrace_queue(name, map_type, V, size, flags) \
	typedef __typeof__(V) name##__value_t; \
	struct { \
		int(*type)[map_type]; \
		name##__value_t *value; \
		__rtrace_map_entries(size, flags) \
	} name##__map SEC(".maps"); \
	static __rtrace_inline long name##__push(const name##__value_t *value, u64 push_flags) \
	{ \
		return bpf_map_push_elem(&name##__map, value, push_flags); \
	} \
	static __rtrace_inline long name##__pop(name##__value_t *value) \
	{ \
		return bpf_map_pop_elem(&name##__map, value); \
	} \
	static __rtrace_inline long name##__peek(name##__value_t *value) \
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
#define BPF_QUEUESTACK(type, name, V, size, flags) BPF_F_TABLE(type, int, V, name, size, flags)

/* Streams of records. Where a record comes from tells its type: a variable that points to it, in a section of its own,
 * carries it to the object's type information. */
#define __rtrace_event(map, data) \
	static __typeof__(&*(data)) __rtrace_join(__rtrace_event_, map) __attribute__((section(".rtrace.events"), used))

#define BPF_PERF_OUTPUT(name) \
	__rtrace_sized_map(name, 4, 4, 4, 0, 0) \
	static __rtrace_inline long name##__perf_submit(void *ctx, void *data, u64 size) \
	{ \
		return bpf_perf_event_output(ctx, &name##__map, 0xffffffffULL, data, size); \
	} \
	static __rtrace_inline long name##__perf_submit_skb(void *ctx, u32 packet_bytes, void *data, u64 size) \
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
	static __rtrace_inline void name##__count_lost(void) \
	{ \
		u32 zero = 0; \
		u64 *lost = bpf_map_lookup_elem(&name##__lost__map, &zero); \
		if (lost) \
			*lost += 1; \
	} \
	static __rtrace_inline long name##__ringbuf_output(void *data, u64 size, u64 flags) \
	{ \
		long error = bpf_ringbuf_output(&name##__map, data, size, flags); \
		if (error) \
			name##__count_lost(); \
		return error; \
	} \
	static __rtrace_inline void *name##__ringbuf_reserve(u64 size) \
	{ \
		void *record = bpf_ringbuf_reserve(&name##__map, size, 0); \
		if (!record) \
			name##__count_lost(); \
		return record; \
	} \
	static __rtrace_inline void name##__ringbuf_submit(void *record, u64 flags) \
	{ \
		bpf_ringbuf_submit(record, flags); \
	} \
	static __rtrace_inline void name##__ringbuf_discard(void *record, u64 flags) \
	{ \
		bpf_ringbuf_discard(record, flags); \
	} \
	static __rtrace_inline u64 name##__ringbuf_query(u64 flags) \
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

/* Stacks: as many as the next power of two, 127 frames deep. */
#define __rtrace_power_of_two(n) ((n) <= 1 ? 1 : 1 << (32 - __builtin_clz((unsigned int)(n) - 1)))
#define __rtrace_stacks(name, frame_bytes, size, flags) \
	__rtrace_sized_map(name, 7, 4, 127 * (frame_bytes), __rtrace_power_of_two(size), flags) \
	static __rtrace_inline int name##__get_stackid(void *ctx, u64 stack_flags) \
	{ \
		return bpf_get_stackid(ctx, &name##__map, stack_flags); \
	} \
	static const struct { \
		int (*get_stackid)(void *, u64); \
	} name __attribute__((unused)) = { name##__get_stackid };
#define BPF_STACK_TRACE(name, size) __rtrace_stacks(name, 8, size, 0)
#define BPF_STACK_TRACE_BUILDID(name, size) __rtrace_stacks(name, sizeof(struct bpf_stack_build_id), size, 1 << 5)

/* Maps of kernel objects. */
#define BPF_PROG_ARRAY(name, size) \
	__rtrace_sized_map(name, 3, 4, 4, size, 0) \
	static __rtrace_inline void name##__call(void *ctx, u32 index) \
	{ \
		bpf_tail_call(ctx, &name##__map, index); \
	} \
	static const struct { \
		void (*call)(void *, u32); \
	} name __attribute__((unused)) = { name##__call };

#define BPF_CGROUP_ARRAY(name, size) \
	__rtrace_sized_map(name, 8, 4, 4, size, 0) \
	static __rtrace_inline long name##__check_current_task(u32 index) \
	{ \
		return bpf_current_task_under_cgroup(&name##__map, index); \
	} \
	static const struct { \
		long (*check_current_task)(u32); \
	} name __attribute__((unused)) = { name##__check_current_task };

#define BPF_PERF_ARRAY(name, size) \
	__rtrace_sized_map(name, 4, 4, 4, size, 0) \
	static __rtrace_inline u64 name##__perf_read(u64 flags) \
	{ \
		return bpf_perf_event_read(&name##__map, flags); \
	} \
	static __rtrace_inline long name##__perf_counter_value(u64 flags, struct bpf_perf_event_value *value, u32 size_) \
	{ \
		return bpf_perf_event_read_value(&name##__map, flags, value, size_); \
	} \
	static const struct { \
		u64 (*perf_read)(u64); \
		long (*perf_counter_value)(u64, struct bpf_perf_event_value *, u32); \
	} name __attribute__((unused)) = { name##__perf_read, name##__perf_counter_value };

#define __rtrace_redirecting(name, map_type, size) \
	__rtrace_sized_map(name, map_type, 4, 4, size, 0) \
	static __rtrace_inline long name##__redirect_map(u32 index, u64 flags) \
	{ \
		return bpf_redirect_map(&name##__map, index, flags); \
	} \
	static __rtrace_inline u32 *name##__lookup(const u32 *index) \
	{ \
		return bpf_map_lookup_elem(&name##__map, index); \
	} \
	static const struct { \
		long (*redirect_map)(u32, u64); \
		u32 *(*lookup)(const u32 *); \
	} name __attribute__((unused)) = { name##__redirect_map, name##__lookup };
#define BPF_DEVMAP(name, size) __rtrace_redirecting(name, 14, size)
#define BPF_CPUMAP(name, size) __rtrace_redirecting(name, 16, size)
#define BPF_XSKMAP(name, size) __rtrace_redirecting(name, 17, size)

#define BPF_SOCKMAP(name, size) \
	__rtrace_sized_map(name, 15, 4, 4, size, 0) \
	static __rtrace_inline long name##__sock_map_update(void *ctx, u32 *key, u64 flags) \
	{ \
		return bpf_sock_map_update(ctx, &name##__map, key, flags); \
	} \
	static __rtrace_inline long name##__msg_redirect_map(void *message, u32 key, u64 flags) \
	{ \
		return bpf_msg_redirect_map(message, &name##__map, key, flags); \
	} \
	static __rtrace_inline long name##__sk_redirect_map(void *skb, u32 key, u64 flags) \
	{ \
		return bpf_sk_redirect_map(skb, &name##__map, key, flags); \
	} \
	static const struct { \
		long (*sock_map_update)(void *, u32 *, u64); \
		long (*msg_redirect_map)(void *, u32, u64); \
		long (*sk_redirect_map)(void *, u32, u64); \
	} name __attribute__((unused)) = { \
		name##__sock_map_update, name##__msg_redirect_map, name##__sk_redirect_map, \
	};

#define __rtrace_sockhash(name, K, size) \
	__rtrace_sized_map(name, 18, sizeof(K), 4, size, 0) \
	static __rtrace_inline long name##__sock_hash_update(void *ctx, void *key, u64 flags) \
	{ \
		return bpf_sock_hash_update(ctx, &name##__map, key, flags); \
	} \
	static __rtrace_inline long name##__msg_redirect_hash(void *message, void *key, u64 flags) \
	{ \
		return bpf_msg_redirect_hash(message, &name##__map, key, flags); \
	} \
	static __rtrace_inline long name##__sk_redirect_hash(void *skb, void *key, u64 flags) \
	{ \
		return bpf_sk_redirect_hash(skb, &name##__map, key, flags); \
	} \
	static const struct { \
		long (*sock_hash_update)(void *, void *, u64); \
		long (*msg_redirect_hash)(void *, void *, u64); \
		long (*sk_redirect_hash)(void *, void *, u64); \
	} name __attribute__((unused)) = { \
		name##__sock_hash_update, name##__msg_redirect_hash, name##__sk_redirect_hash, \
	};
#define __rtrace_sockhash_1(name) __rtrace_sockhash(name, u32, 10240)
#define __rtrace_sockhash_2(name, K) __rtrace_sockhash(name, K, 10240)
#define __rtrace_sockhash_3(name, K, size) __rtrace_sockhash(name, K, size)
#define BPF_SOCKHASH(...) \
	__rtrace_pick3(__VA_ARGS__, __rtrace_sockhash_3, __rtrace_sockhash_2, __rtrace_sockhash_1)(__VA_ARGS__)

/* Values that hang off sockets, inodes, tasks and cgroups. */
#define __rtrace_storage(name, what, map_type, V) \
	typedef __typeof__(V) name##__value_t; \
	struct { \
		int(*type)[map_type]; \
		int *key; \
		name##__value_t *value; \
		int(*map_flags)[1]; \
	} name##__map SEC(".maps"); \
	static __rtrace_inline name##__value_t *name##__##what##_storage_get(void *owner, name##__value_t *first, \
									      u64 flags) \
	{ \
		return bpf_##what##_storage_get(&name##__map, owner, first, flags); \
	} \
	static __rtrace_inline long name##__##what##_storage_delete(void *owner) \
	{ \
		return bpf_##what##_storage_delete(&name##__map, owner); \
	} \
	static const struct { \
		name##__value_t *(*what##_storage_get)(void *, name##__value_t *, u64); \
		long (*what##_storage_delete)(void *); \
	} name __attribute__((unused)) = { name##__##what##_storage_get, name##__##what##_storage_delete };
#define BPF_SK_STORAGE(name, V) __rtrace_storage(name, sk, 24, V)
#define BPF_INODE_STORAGE(name, V) __rtrace_storage(name, inode, 28, V)
#define BPF_TASK_STORAGE(name, V) __rtrace_storage(name, task, 29, V)

#define __rtrace_cgroup_storage(name, map_type, V) \
	typedef __typeof__(V) name##__value_t; \
	struct { \
		int(*type)[map_type]; \
		struct __rtrace_cgroup_key *key; \
		name##__value_t *value; \
	} name##__map SEC(".maps"); \
	static __rtrace_inline name##__value_t *name##__get_local_storage(u64 flags) \
	{ \
		return bpf_get_local_storage(&name##__map, flags); \
	} \
	static const struct { \
		name##__value_t *(*get_local_storage)(u64); \
	} name __attribute__((unused)) = { name##__get_local_storage };
struct __rtrace_cgroup_key {
	u64 cgroup_inode_id;
	u32 attach_type;
};
#define BPF_CGROUP_STORAGE(name, V) __rtrace_cgroup_storage(name, 19, V)
#define BPF_PERCPU_CGROUP_STORAGE(name, V) __rtrace_cgroup_storage(name, 21, V)
