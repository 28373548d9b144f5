/* maps OBJECT MAP ENTRIES ROUNDS TIMES: read a full hash map into arrays, by batches.
 *
 * Prints a line of JSON per round: nanoseconds of CPU time to read all entries into new arrays ("snapshot_ns"), to read
 * and remove them ("drain_ns"), and to remove them without keeping them ("clear_ns"); each is the mean of TIMES. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLEARED = 8192 };

static uint64_t used_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "maps: %s: %s\n", what, strerror(errno));
	exit(3);
}

static void fill(int map, size_t key_size, size_t value_size, uint32_t entries)
{
	char *keys = calloc(entries, key_size), *values = calloc(entries, value_size);
	uint32_t count = entries;

	for (uint32_t entry = 0; entry < entries; entry++) {
		memcpy(keys + entry * key_size, &entry, sizeof(entry));
		memcpy(values + entry * value_size, &entry, sizeof(entry));
	}
	if (bpf_map_update_batch(map, keys, values, &count, NULL))
		die("fill");
	free(keys);
	free(values);
}

/* Into arrays with room for `most`, from the start again each time if nobody wants to keep them. */
static uint64_t walk(int map, size_t key_size, size_t value_size, uint32_t most, int delete, int keep)
{
	int (*read)(int, void *, void *, void *, void *, __u32 *, const struct bpf_map_batch_opts *) =
		delete ? bpf_map_lookup_and_delete_batch : bpf_map_lookup_batch;
	uint64_t began = used_ns();
	char *keys = malloc(most * key_size), *values = malloc(most * value_size);
	uint32_t filled = 0, first = 1;
	uint64_t position[2];

	for (;;) {
		uint32_t at = keep ? filled : 0, count = most - at;
		int result = read(map, first ? NULL : position, position, keys + at * key_size, values + at * value_size,
				  &count, NULL);

		if (result && errno != ENOENT)
			die("read");
		filled += count;
		first = 0;
		if (result)
			break;
	}
	uint64_t ended = used_ns();

	free(keys);
	free(values);
	return ended - began;
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
	struct bpf_map *map = object ? bpf_object__find_map_by_name(object, argv[2]) : NULL;
	uint32_t entries = atoi(argv[3]);

	if (!map || bpf_map__set_max_entries(map, entries) || bpf_object__load(object))
		die(argv[1]);
	int fd = bpf_map__fd(map);
	size_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);

	int times = atoi(argv[5]);

	for (int round = 0; round < atoi(argv[4]); round++) {
		uint64_t snapshot_ns = 0, drain_ns = 0, clear_ns = 0;

		for (int time = 0; time < times; time++) {
			fill(fd, key_size, value_size, entries);
			snapshot_ns += walk(fd, key_size, value_size, entries, 0, 1);
			drain_ns += walk(fd, key_size, value_size, entries, 1, 1);

			fill(fd, key_size, value_size, entries);
			clear_ns += walk(fd, key_size, value_size, CLEARED, 1, 0);
		}
		printf("{\"snapshot_ns\": %" PRIu64 ", \"drain_ns\": %" PRIu64 ", \"clear_ns\": %" PRIu64 "}\n",
		       snapshot_ns / times, drain_ns / times, clear_ns / times);
		fflush(stdout);
	}
	return 0;
}
