#pragma once

// epoll and eventfd, which Swift's Glibc module does not have. Every function returns a negative errno on failure.

int clinux_events_open(void);
// Reports `fd` whenever it can be read or has failed.
int clinux_events_watch(int events, int fd);
int clinux_events_forget(int events, int fd);
// Waits, without limit, until descriptors are ready and writes at most `count` (and at most 64) of them.
int clinux_events_wait(int events, int *ready, int count);
// A descriptor that is ready from clinux_wake_ring until clinux_wake_clear.
int clinux_wake_open(void);
void clinux_wake_ring(int wake);
void clinux_wake_clear(int wake);
// Names the calling thread, for `ps -L`: at most 15 bytes.
void clinux_name_thread(const char *name);

// The cores that the calling thread may run on; 1 where that cannot be told.
int clinux_usable_cores(void);
