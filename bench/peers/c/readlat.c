/* readlat [OBJECT]: load it with libbpf, attach everything in it, say "attached", print the histogram when interrupted.
 *
 * Without an object it traces nothing and does the rest. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

enum { SLOTS = 64, MOST_CPUS = 1024 };

int main(int argc, char **argv)
{
	struct bpf_object *object = NULL;
	struct bpf_program *program;
	sigset_t interrupt;
	int received;

	if (argc > 2 || libbpf_num_possible_cpus() > MOST_CPUS)
		return 2;
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, NULL);
	if (argc == 2) {
		object = bpf_object__open_file(argv[1], NULL);
		if (!object || bpf_object__load(object))
			return 1;
		bpf_object__for_each_program(program, object)
			if (!bpf_program__attach(program))
				return 1;
	}
	puts("attached");
	fflush(stdout);
	sigwait(&interrupt, &received);
	if (!object)
		return 0;

	int histogram = bpf_object__find_map_fd_by_name(object, "HISTOGRAM");

	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		static uint64_t counts[MOST_CPUS];
		uint64_t sum = 0;

		bpf_map_lookup_elem(histogram, &slot, counts);
		for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
			sum += counts[cpu];
		if (sum)
			printf("%u %lu\n", slot, sum);
	}
	return 0;
}
