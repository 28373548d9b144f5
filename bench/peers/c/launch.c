/* launch: run a program, say when it prints a line with MARKER, and what it used.
 *
 *     launch MARKER NAMESPACE|- PROGRAM [ARGUMENT...]
 *
 * Prints one line of JSON when MARKER has been seen ("pid", nanoseconds since just before the fork, peak memory so
 * far, the number behind MARKER), waits for its own standard input to end, interrupts the program, and prints a second
 * line ("status", peak memory and CPU time over its whole life, of which memory is the most that it or a child of its
 * had). NAMESPACE is a file as /proc/PID/ns/mnt to join first.
 *
 * Why in C: a child's ru_maxrss begins with its parent's at the time of the fork, so the parent has to be small.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAID = 1 << 16, PATIENCE_MS = 2000 };

static void die(const char *what)
{
	fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
	exit(126);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static long peak_kb(pid_t pid)
{
	char path[64], line[256];
	long peak = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	if (!status)
		return -1;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %ld", &peak) == 1)
			break;
	fclose(status);
	return peak;
}

/* The program, its output in a pipe, in the mount namespace asked for. */
static pid_t start(const char *namespace, char **command, int *output)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0) {
		close(ends[1]);
		*output = ends[0];
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); /* so that what it starts can be interrupted with it */
	if (strcmp(namespace, "-")) {
		char *folder = get_current_dir_name();
		int fd = open(namespace, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || setns(fd, CLONE_NEWNS) || !folder || chdir(folder))
			die(namespace);
	}
	int nothing = open("/dev/null", O_RDONLY);
	dup2(nothing, STDIN_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[0]);
	close(ends[1]);
	close(nothing);
	execvp(command[0], command);
	die(command[0]);
	return -1;
}

int main(int argc, char **argv)
{
	static char said[SAID];
	size_t length = 0;
	struct rusage used;
	int output, status;
	char byte;

	if (argc < 4) {
		fprintf(stderr, "usage: launch MARKER NAMESPACE|- PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	uint64_t began = now_ns();
	pid_t pid = start(argv[2], argv + 3, &output);

	char *marker = NULL;

	while (!marker || !strchr(marker, '\n')) {
		ssize_t got = read(output, said + length, SAID - 1 - length);

		if (got <= 0) {
			waitpid(pid, &status, 0);
			fprintf(stderr, "launch: %s ended without `%s`:\n%s\n", argv[3], argv[1], said);
			return 125;
		}
		length += got;
		marker = strstr(said, argv[1]);
	}
	uint64_t attached = now_ns();

	printf("{\"pid\": %d, \"ready_ns\": %" PRIu64 ", \"peak_kb\": %ld, \"said\": %lld}\n", pid, attached - began,
	       peak_kb(pid), strtoll(marker + strlen(argv[1]), NULL, 10));
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	kill(-pid, SIGINT);
	struct pollfd more = { .fd = output, .events = POLLIN };

	/* Silent for that long it hangs: bpftrace can, reading a map that changes all the time. */
	while (poll(&more, 1, PATIENCE_MS) > 0 && read(output, said, SAID) > 0)
		;
	kill(-pid, SIGKILL);
	if (wait4(pid, &status, 0, &used) < 0)
		die("wait4");
	long cpu_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;

	printf("{\"status\": %d, \"peak_kb\": %ld, \"cpu_us\": %ld}\n", status, used.ru_maxrss, cpu_us);
	return 0;
}
