// Every kind of map with keys and values, each with every number of arguments, and every method.
#define LIMIT 128

struct key_t {
	u32 pid;
	char comm[TASK_COMM_LEN];
};
struct prefix_t {
	u32 bits;
	u32 address;
};
struct value_t {
	u64 bytes;
	u32 count;
};

BPF_HASH(hash1);
BPF_HASH(hash2, u32)
BPF_HASH(hash3, struct key_t, struct value_t);
BPF_HASH(hash4, struct key_t, u64, LIMIT * 2);
BPF_HASH(pointers, struct request *, struct sock *);
BPF_HASH(bytes, u32, char, 5);
BPF_ARRAY(array1);
BPF_ARRAY(array2, struct value_t);
BPF_ARRAY(array3, u32, 16);
BPF_HISTOGRAM(histogram1);
BPF_HISTOGRAM(histogram2, struct key_t);
BPF_HISTOGRAM(histogram3, int, 100);
BPF_PERCPU_HASH(percpu_hash, u32, u64);
BPF_PERCPU_ARRAY(percpu_array, struct value_t, 1);
BPF_LRU_HASH(lru_hash, u32);
BPF_LRU_PERCPU_HASH(lru_percpu_hash, u32, u64, 64);
BPF_LPM_TRIE(trie, struct prefix_t, u32, 16);
BPF_TABLE("percpu_hash", u32, u64, table1, 99);
BPF_F_TABLE("hash", u32, u64, table2, 9, BPF_F_NO_PREALLOC);
BPF_TABLE("lru_hash", struct key_t, u64, table3, 7);
BPF_TABLE_PUBLIC("array", int, u64, table4, 3);

#define ADD(map, key) map.increment(key)

int methods(struct pt_regs *ctx)
{
	struct key_t key = { .pid = bpf_get_current_pid_tgid() >> 32 };
	struct value_t value = {}, *found;
	u64 zero = 0, *count;
	struct prefix_t prefix = { .bits = 32 };
	u32 pid = key.pid;
	int index = 0;

	bpf_get_current_comm(&key.comm, sizeof(key.comm));
	found = hash3.lookup(&key);
	if (found)
		found->count++;
	hash3.update(&key, &value);
	hash3.insert(&key, &value);
	hash3.delete(&key);
	count = hash4.lookup_or_try_init(&key, &zero);
	if (count)
		*count += 2;
	count = hash4.lookup_or_init(&key, &zero);
	*count += hash4.lookup_or_init(&key, &zero)[0];
	hash2.increment(pid);
	hash2.increment(pid, 3);
	hash2.atomic_increment(pid);
	hash2.atomic_increment(pid, 1 + 4);
	bytes.increment(pid);
	array1.increment(index);
	array3.atomic_increment(1, 2);
	ADD(histogram1, bpf_log2l(pid));
	ADD(histogram2, key);
	histogram3.atomic_increment(bpf_log2(pid));
	percpu_hash.increment(pid);
	found = percpu_array.lookup(&index);
	if (found)
		found->bytes += 1;
	lru_hash.increment(pid);
	lru_percpu_hash.increment(pid);
	trie.lookup(&prefix);
	table1.increment(pid);
	table2.increment(pid);
	table3.increment(key);
	table4.increment(0);
	return 0;
}

int kept_pointers(struct pt_regs *ctx, struct request *request, struct sock *sk)
{
	struct sock **kept = pointers.lookup(&request);

	if (kept)
		hash2.increment((*kept)->__sk_common.skc_family);
	pointers.update(&request, &sk);
	return 0;
}
