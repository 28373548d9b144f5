/* Tables: the macros that make maps with keys, by the name of their type or by their own. */

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

/* A table that another object of the process has made public; whether it is an array is known only when it is found. */
#define __rtrace_table_extern(K, V, name, size, flags) \
	__rtrace_typed_map(name, 1, K, V, size, flags) \
	__rtrace_map_note(name, "extern") \
	__rtrace_stack_function(name) \
	__rtrace_call_function(name) \
	__rtrace_keyed_methods(name, 0, __rtrace_stack_member __rtrace_call_member, name##__get_stackid, name##__call)

/* What the loader is told of a map beside its definition, in a section of its own: `NAME WHAT`. */
#define __rtrace_map_note(name, what) \
	static const char __rtrace_note_##name[] __attribute__((section(".rtrace.maps"), used)) = #name " " what;

/* The type of a table is a name here; rtrace has taken the quotes off. */
#define BPF_F_TABLE(type, K, V, name, size, flags) __rtrace_join(__rtrace_table_, type)(K, V, name, size, flags)
#define BPF_TABLE(type, K, V, name, size) BPF_F_TABLE(type, K, V, name, size, 0)
/* Other objects of the process find it by its name. */
#define BPF_TABLE_PUBLIC(type, K, V, name, size) BPF_F_TABLE(type, K, V, name, size, 0) __rtrace_map_note(name, "public")
#define BPF_TABLE_SHARED(type, K, V, name, size) BPF_TABLE_PUBLIC(type, K, V, name, size)
/* Other processes find it by its path in a BPF file system. */
#define __rtrace_pick7(a, b, c, d, e, f, g, picked, ...) picked
#define __rtrace_pinned_7(type, K, V, name, size, path, flags) \
	BPF_F_TABLE(type, K, V, name, size, flags) __rtrace_map_note(name, "pinned " path)
#define __rtrace_pinned_6(type, K, V, name, size, path) __rtrace_pinned_7(type, K, V, name, size, path, 0)
#define BPF_TABLE_PINNED(...) __rtrace_pick7(__VA_ARGS__, __rtrace_pinned_7, __rtrace_pinned_6, )(__VA_ARGS__)

#define BPF_QUEUESTACK(type, name, V, size, flags) BPF_F_TABLE(type, int, V, name, size, flags)
#define BPF_QUEUESTACK_PUBLIC(type, name, V, size, flags) \
	BPF_QUEUESTACK(type, name, V, size, flags) __rtrace_map_note(name, "public")
#define BPF_QUEUESTACK_SHARED(type, name, V, size, flags) BPF_QUEUESTACK_PUBLIC(type, name, V, size, flags)
#define BPF_QUEUESTACK_PINNED(type, name, V, size, flags, path) \
	BPF_QUEUESTACK(type, name, V, size, flags) __rtrace_map_note(name, "pinned " path)

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
