/* workload CPU CALLS [read]: nanoseconds per read(2) of one byte from /dev/zero, and per getppid(2), as a line of JSON. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;
	char byte;

	if (argc < 3)
		return 2;

	long calls = atol(argv[2]);
	int zero = open("/dev/zero", O_RDONLY);

	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) || zero < 0)
		return 1;

	double began = now_ns();
	for (long call = 0; call < calls; call++)
		if (read(zero, &byte, 1) != 1)
			return 1;
	double middle = now_ns();
	for (long call = 0; argc == 3 && call < calls; call++)
		syscall(SYS_getppid);
	printf("{\"read_ns\": %.2f, \"getppid_ns\": %.2f}\n", (middle - began) / calls, (now_ns() - middle) / calls);
	return 0;
}
