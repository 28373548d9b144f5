/* Hash maps of two kinds, filled from user space. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, unsigned int);
	__type(value, unsigned long long);
} small SEC(".maps");

struct key {
	unsigned long long low;
	unsigned long long high;
};

struct value {
	unsigned long long count;
	unsigned long long sum;
	unsigned long long last;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct key);
	__type(value, struct value);
} large SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
