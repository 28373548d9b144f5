/* flood CPU SECONDS RATE: getppid in a tight loop, or so many a second; starts at a line on its standard input.
 *
 * Prints a line of JSON with its "pid", and in the end one with the number of "calls" and "seconds". */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 100 };

static double now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;
	uint64_t calls = 0;

	if (argc != 4)
		return 2;
	double seconds = atof(argv[2]), rate = atof(argv[3]);

	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return 1;
	printf("{\"pid\": %d}\n", getpid());
	fflush(stdout);
	if (getchar() == EOF)
		return 0;
	double began = now(), passed;

	while ((passed = now() - began) < seconds) {
		if (rate && calls > passed * rate) {
			usleep(1000);
			continue;
		}
		for (int call = 0; call < BURST; call++)
			syscall(SYS_getppid);
		calls += BURST;
	}
	printf("{\"calls\": %lu, \"seconds\": %.3f}\n", calls, now() - began);
	return 0;
}
