"""Programs in C for the tests of loading and attaching, compiled by clang when a test asks for them."""

from __future__ import annotations

import rtrace
from tests.kernel.clang import compile_bpf

# The few declarations that they share; no header of the kernel's or of libbpf's is needed.
PRELUDE = """
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
#define __array(name, value) typeof(value) *name[]
enum { HASH = 1, ARRAY, PROG_ARRAY, PERF_EVENT_ARRAY, PERCPU_HASH, PERCPU_ARRAY, STACK_TRACE, CGROUP_ARRAY, LRU_HASH,
       LPM_TRIE = 11, ARRAY_OF_MAPS, HASH_OF_MAPS, QUEUE = 22, STACK, SK_STORAGE, RINGBUF = 27, INODE_STORAGE,
       TASK_STORAGE };
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static long (*bpf_perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
#define LICENSE char gpl[] SEC("license") = "GPL"

/* Counts by number: COUNT(n) adds one to counts[n]. */
#define COUNTERS \\
    struct { \\
        __uint(type, ARRAY); __type(key, u32); __type(value, u64); __uint(max_entries, 8); \\
    } counts SEC(".maps"); \\
    static inline void COUNT(u32 number) { \\
        u64 *count = bpf_map_lookup_elem(&counts, &number); \\
        if (count) __sync_fetch_and_add(count, 1); \\
    }
/* Which process to look at; 0 sees every one. */
#define OURS volatile const u32 target_pid = 0; \\
    static inline int is_ours(void) { return !target_pid || bpf_get_current_pid_tgid() >> 32 == target_pid; }
"""


def compile_c(source: str, name: str = "test") -> rtrace.ObjectSpec:
    """Compile `source`, in which the prelude's declarations are known, and parse the object."""
    return rtrace.ObjectSpec.parse(compile_bpf(PRELUDE + source, "-Wno-unused"), name)
