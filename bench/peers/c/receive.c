/* receive OBJECT PID: count records of a process's getppid with libbpf, until interrupted. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "events.h"

enum { MOST_CPUS = 1024 };

static volatile sig_atomic_t stop;
static unsigned int pid;
static unsigned long delivered;

static void on_interrupt(int signal)
{
	(void)signal;
	stop = 1;
}

static int count(void *context, void *data, size_t size)
{
	(void)context;
	if (size >= sizeof(struct event))
		delivered += ((struct event *)data)->pid == pid;
	return 0;
}

int main(int argc, char **argv)
{
	static uint64_t counts[MOST_CPUS];
	struct globals values = { 0 };
	struct timespec used;
	uint64_t lost = 0;
	uint32_t zero = 0;

	if (argc != 3 || libbpf_num_possible_cpus() > MOST_CPUS)
		return 2;
	values.target_pid = pid = atoi(argv[2]);
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
	struct bpf_map *globals = object ? bpf_object__find_map_by_name(object, ".rodata") : NULL;
	struct bpf_map *events = object ? bpf_object__find_map_by_name(object, "EVENTS") : NULL;
	struct bpf_program *program = object ? bpf_object__find_program_by_name(object, "hit") : NULL;

	if (!globals || !events || !program)
		return 3;
	values.wakeup_bytes = bpf_map__max_entries(events) / 8;
	if (bpf_map__set_initial_value(globals, &values, sizeof(values)) || bpf_object__load(object))
		return 3;
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(events), count, NULL, NULL);

	if (!ring || !bpf_program__attach(program))
		return 3;
	signal(SIGINT, on_interrupt);
	puts("attached");
	fflush(stdout);
	while (!stop)
		ring_buffer__poll(ring, 100);
	ring_buffer__consume(ring);
	bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "LOST"), &zero, counts);
	for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
		lost += counts[cpu];
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	printf("{\"delivered\": %lu, \"lost\": %lu, \"cpu_ms\": %.1f}\n", delivered, lost,
	       used.tv_sec * 1e3 + used.tv_nsec / 1e6);
	return 0;
}
