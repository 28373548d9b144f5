/* What the programs of events.bpf.c write and their readers read. */
#ifndef EVENTS_H
#define EVENTS_H

/* 32 bytes. */
struct event {
	unsigned long long ts_ns;
	unsigned int pid;
	unsigned int tid;
	unsigned long long number;
	unsigned long long spare;
};

/* The constants of events.bpf.c, in their order. */
struct globals {
	unsigned int target_pid;
	unsigned int padding;
	unsigned long long wakeup_bytes;
};

/* Records that one hit of `fill` writes. */
enum { PER_HIT = 1024 };

#endif
