#pragma once
#include <stdint.h>

// By what it is seen that a file is another one than before: its inode, size and the time of its last change in
// nanoseconds. Returns a negative errno on failure.
int clinux_file_version(const char *path, uint64_t version[3]);
