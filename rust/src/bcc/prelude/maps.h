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
	static __rtrace_method void name##__##function(name##__key_t key, u64 amount) \
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

/* `more` and what follows: declarations of further members, and their functions. */
#define __rtrace_keyed_methods(name, is_array, more, ...) \
	static __rtrace_method name##__value_t *name##__lookup(const name##__key_t *key) \
	{ \
		return bpf_map_lookup_elem(&name##__map, key); \
	} \
	static __rtrace_method name##__value_t *name##__lookup_or_try_init(const name##__key_t *key, \
									    const name##__value_t *first) \
	{ \
		name##__value_t *value = bpf_map_lookup_elem(&name##__map, key); \
		if (value) \
			return value; \
		bpf_map_update_elem(&name##__map, key, first, 1); \
		return bpf_map_lookup_elem(&name##__map, key); \
	} \
	static __rtrace_method long name##__update(const name##__key_t *key, const name##__value_t *value) \
	{ \
		return bpf_map_update_elem(&name##__map, key, value, 0); \
	} \
	static __rtrace_method long name##__insert(const name##__key_t *key, const name##__value_t *value) \
	{ \
		return bpf_map_update_elem(&name##__map, key, value, 1); \
	} \
	static __rtrace_method long name##__delete(const name##__key_t *key) \
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
		more \
	} name __attribute__((unused)) = { \
		name##__lookup, name##__lookup_or_try_init, name##__update, name##__insert, name##__delete, \
		name##__increment_by, name##__atomic_increment_by, ##__VA_ARGS__ \
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
	__rtrace_typed_map(name, map_type, K, V, size, flags) __rtrace_keyed_methods(name, is_array, )
