/* Maps that the kernel has a use for itself: of stacks, programs, cgroups, counters, interfaces, sockets, maps. */

/* Stacks: as many as the next power of two, 127 frames deep. */
#define __rtrace_power_of_two(n) ((n) <= 1 ? 1 : 1 << (32 - __builtin_clz((unsigned int)(n) - 1)))
#define BPF_MAX_STACK_DEPTH 127
struct bpf_stacktrace {
	u64 ip[BPF_MAX_STACK_DEPTH];
};
#define __rtrace_stack_function(name) \
	static __rtrace_method int name##__get_stackid(void *ctx, u64 stack_flags) \
	{ \
		return bpf_get_stackid(ctx, &name##__map, stack_flags); \
	}
#define __rtrace_stack_member int (*get_stackid)(void *, u64);
#define __rtrace_stacks(name, frame_bytes, size, flags) \
	__rtrace_sized_map(name, 7, 4, 127 * (frame_bytes), __rtrace_power_of_two(size), flags) \
	__rtrace_stack_function(name) \
	static const struct { \
		__rtrace_stack_member \
	} name __attribute__((unused)) = { name##__get_stackid };
#define BPF_STACK_TRACE(name, size) __rtrace_stacks(name, 8, size, 0)
#define BPF_STACK_TRACE_BUILDID(name, size) __rtrace_stacks(name, sizeof(struct bpf_stack_build_id), size, 1 << 5)

/* Maps of kernel objects. */
#define __rtrace_call_function(name) \
	static __rtrace_method void name##__call(void *ctx, u32 index) \
	{ \
		bpf_tail_call(ctx, &name##__map, index); \
	}
#define __rtrace_call_member void (*call)(void *, u32);
#define BPF_PROG_ARRAY(name, size) \
	__rtrace_sized_map(name, 3, 4, 4, size, 0) \
	__rtrace_call_function(name) \
	static const struct { \
		__rtrace_call_member \
	} name __attribute__((unused)) = { name##__call };

#define BPF_CGROUP_ARRAY(name, size) \
	__rtrace_sized_map(name, 8, 4, 4, size, 0) \
	static __rtrace_method long name##__check_current_task(u32 index) \
	{ \
		return bpf_current_task_under_cgroup(&name##__map, index); \
	} \
	static const struct { \
		long (*check_current_task)(u32); \
	} name __attribute__((unused)) = { name##__check_current_task };

#define BPF_PERF_ARRAY(name, size) \
	__rtrace_sized_map(name, 4, 4, 4, size, 0) \
	static __rtrace_method u64 name##__perf_read(u64 flags) \
	{ \
		return bpf_perf_event_read(&name##__map, flags); \
	} \
	static __rtrace_method long name##__perf_counter_value(u64 flags, struct bpf_perf_event_value *value, u32 size_) \
	{ \
		return bpf_perf_event_read_value(&name##__map, flags, value, size_); \
	} \
	static const struct { \
		u64 (*perf_read)(u64); \
		long (*perf_counter_value)(u64, struct bpf_perf_event_value *, u32); \
	} name __attribute__((unused)) = { name##__perf_read, name##__perf_counter_value };

#define __rtrace_redirecting(name, map_type, size) \
	__rtrace_sized_map(name, map_type, 4, 4, size, 0) \
	static __rtrace_method long name##__redirect_map(u32 index, u64 flags) \
	{ \
		return bpf_redirect_map(&name##__map, index, flags); \
	} \
	static __rtrace_method u32 *name##__lookup(const u32 *index) \
	{ \
		return bpf_map_lookup_elem(&name##__map, index); \
	} \
	static const struct { \
		long (*redirect_map)(u32, u64); \
		u32 *(*lookup)(const u32 *); \
	} name __attribute__((unused)) = { name##__redirect_map, name##__lookup };
#define BPF_DEVMAP(name, size) __rtrace_redirecting(name, 14, size)
#define BPF_CPUMAP(name, size) __rtrace_redirecting(name, 16, size)
#define __rtrace_xskmap_2(name, size) __rtrace_redirecting(name, 17, size)
#define __rtrace_xskmap_3(name, size, path) __rtrace_xskmap_2(name, size) __rtrace_map_note(name, "pinned " path)
#define BPF_XSKMAP(...) __rtrace_pick3(__VA_ARGS__, __rtrace_xskmap_3, __rtrace_xskmap_2, )(__VA_ARGS__)

#define BPF_SOCKMAP(name, size) \
	__rtrace_sized_map(name, 15, 4, 4, size, 0) \
	static __rtrace_method long name##__sock_map_update(void *ctx, u32 *key, u64 flags) \
	{ \
		return bpf_sock_map_update(ctx, &name##__map, key, flags); \
	} \
	static __rtrace_method long name##__msg_redirect_map(void *message, u32 key, u64 flags) \
	{ \
		return bpf_msg_redirect_map(message, &name##__map, key, flags); \
	} \
	static __rtrace_method long name##__sk_redirect_map(void *skb, u32 key, u64 flags) \
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
	static __rtrace_method long name##__sock_hash_update(void *ctx, void *key, u64 flags) \
	{ \
		return bpf_sock_hash_update(ctx, &name##__map, key, flags); \
	} \
	static __rtrace_method long name##__msg_redirect_hash(void *message, void *key, u64 flags) \
	{ \
		return bpf_msg_redirect_hash(message, &name##__map, key, flags); \
	} \
	static __rtrace_method long name##__sk_redirect_hash(void *skb, void *key, u64 flags) \
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
#define __rtrace_storage(name, what, map_type, V, get_helper, delete_helper) \
	typedef __typeof__(V) name##__value_t; \
	struct { \
		int(*type)[map_type]; \
		int *key; \
		name##__value_t *value; \
		int(*map_flags)[1]; \
	} name##__map SEC(".maps"); \
	static __rtrace_method name##__value_t *name##__##what##_storage_get(void *owner, name##__value_t *first, \
									      u64 flags) \
	{ \
		return get_helper(&name##__map, owner, first, flags); \
	} \
	static __rtrace_method long name##__##what##_storage_delete(void *owner) \
	{ \
		return delete_helper(&name##__map, owner); \
	} \
	static const struct { \
		name##__value_t *(*what##_storage_get)(void *, name##__value_t *, u64); \
		long (*what##_storage_delete)(void *); \
	} name __attribute__((unused)) = { name##__##what##_storage_get, name##__##what##_storage_delete };
#define BPF_SK_STORAGE(name, V) __rtrace_storage(name, sk, 24, V, bpf_sk_storage_get, bpf_sk_storage_delete)
#define BPF_INODE_STORAGE(name, V) __rtrace_storage(name, inode, 28, V, bpf_inode_storage_get, bpf_inode_storage_delete)
#define BPF_TASK_STORAGE(name, V) __rtrace_storage(name, task, 29, V, bpf_task_storage_get, bpf_task_storage_delete)

#define __rtrace_cgroup_storage(name, map_type, V) \
	typedef __typeof__(V) name##__value_t; \
	struct { \
		int(*type)[map_type]; \
		struct __rtrace_cgroup_key *key; \
		name##__value_t *value; \
	} name##__map SEC(".maps"); \
	static __rtrace_method name##__value_t *name##__get_local_storage(u64 flags) \
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

/* Maps of maps like `inner`, whose name rtrace has taken the quotes off; what `lookup` finds goes to the helpers for maps. */
#define __rtrace_map_of_maps(name, map_type, K, inner, size) \
	typedef __typeof__(K) name##__key_t; \
	struct { \
		int(*type)[map_type]; \
		name##__key_t *key; \
		__rtrace_map_entries(size, 0) \
		__typeof__(inner##__map) *values[]; \
	} name##__map SEC(".maps"); \
	static __rtrace_method void *name##__lookup(const name##__key_t *key) \
	{ \
		return bpf_map_lookup_elem(&name##__map, key); \
	} \
	static const struct { \
		void *(*lookup)(const name##__key_t *); \
	} name __attribute__((unused)) = { name##__lookup };
#define BPF_ARRAY_OF_MAPS(name, inner, size) __rtrace_map_of_maps(name, 12, u32, inner, size)
#define __rtrace_hash_of_maps_2(name, inner) __rtrace_map_of_maps(name, 13, int, inner, 10240)
#define __rtrace_hash_of_maps_3(name, K, inner) __rtrace_map_of_maps(name, 13, K, inner, 10240)
#define __rtrace_hash_of_maps_4(name, K, inner, size) __rtrace_map_of_maps(name, 13, K, inner, size)
#define BPF_HASH_OF_MAPS(...) \
	__rtrace_pick4(__VA_ARGS__, __rtrace_hash_of_maps_4, __rtrace_hash_of_maps_3, __rtrace_hash_of_maps_2, )(__VA_ARGS__)
