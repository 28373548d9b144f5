/* drain OBJECT callback|loop|huge|warm ROUNDS: fill a ring buffer, then read all of it into one plain array.
 *
 *     callback  with libbpf's ring_buffer__consume
 *     loop      with a loop over the mapped ring, which knows that all records are alike and committed in order
 *     huge      the same, into an array of huge pages, as rtrace and numpy ask for
 *     warm      the same, into an array whose pages were touched before
 *
 * Prints a line of JSON per round: records, and nanoseconds from before the ring is mapped until the array is filled,
 * by the clock ("wall_ns") and of CPU time ("cpu_ns"). */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "events.h"

struct array {
	struct event *events;
	size_t length;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* malloc's memory starts 16 bytes into a page. */
static void advise(void *memory, size_t size)
{
	uintptr_t page = sysconf(_SC_PAGESIZE), start = ((uintptr_t)memory + page - 1) & ~(page - 1);

	madvise((void *)start, ((uintptr_t)memory + size - start) & ~(page - 1), MADV_HUGEPAGE);
}

static int keep(void *context, void *data, size_t size)
{
	struct array *array = context;

	if (size < sizeof(struct event))
		return 0;
	memcpy(&array->events[array->length++], data, sizeof(struct event));
	return 0;
}

static void by_callback(int map, struct array *array)
{
	struct ring_buffer *ring = ring_buffer__new(map, keep, array, NULL);

	if (!ring || ring_buffer__consume(ring) < 0)
		exit(3);
	ring_buffer__free(ring);
}

static void by_loop(int map, size_t size, struct array *array)
{
	size_t page = sysconf(_SC_PAGESIZE);
	atomic_ulong *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	char *producer = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, map, page);

	if (consumer == MAP_FAILED || producer == MAP_FAILED)
		exit(3);

	unsigned long end = atomic_load_explicit((atomic_ulong *)producer, memory_order_acquire);
	unsigned long at = atomic_load_explicit(consumer, memory_order_relaxed);

	while (at < end) {
		char *record = producer + page + (at & (size - 1));
		unsigned int length = atomic_load_explicit((atomic_uint *)record, memory_order_acquire);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(length & BPF_RINGBUF_DISCARD_BIT))
			memcpy(&array->events[array->length++], record + BPF_RINGBUF_HDR_SZ, sizeof(struct event));
		length &= ~BPF_RINGBUF_DISCARD_BIT;
		at += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	}
	atomic_store_explicit(consumer, at, memory_order_release);
	munmap(consumer, page);
	munmap(producer, page + 2 * size);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
	struct bpf_program *program = object ? bpf_object__find_program_by_name(object, "fill") : NULL;
	struct bpf_map *globals = object ? bpf_object__find_map_by_name(object, ".rodata") : NULL;
	struct globals values = { .target_pid = getpid() };

	if (!program || bpf_map__set_initial_value(globals, &values, sizeof(values)) || bpf_object__load(object) || !bpf_program__attach(program))
		return 3;
	struct bpf_map *ring = bpf_object__find_map_by_name(object, "EVENTS");
	size_t size = bpf_map__max_entries(ring), most = size / (sizeof(struct event) + BPF_RINGBUF_HDR_SZ);

	for (int round = 0; round < atoi(argv[3]); round++) {
		for (size_t hits = 0; hits <= most / PER_HIT; hits++)
			getppid();
		struct array array = { malloc(most * sizeof(struct event)), 0 };

		if (!strcmp(argv[2], "warm"))
			memset(array.events, 1, most * sizeof(struct event));
		uint64_t wall = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

		if (!strcmp(argv[2], "huge"))
			advise(array.events, most * sizeof(struct event));

		if (strcmp(argv[2], "callback"))
			by_loop(bpf_map__fd(ring), size, &array);
		else
			by_callback(bpf_map__fd(ring), &array);
		printf("{\"records\": %zu, \"wall_ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 "}\n", array.length,
		       now_ns(CLOCK_MONOTONIC) - wall, now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
		fflush(stdout);
		free(array.events);
	}
	return 0;
}
