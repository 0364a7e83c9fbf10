#include "CLinux.h"
#include <errno.h>
#include <sys/stat.h>

int clinux_file_version(const char *path, uint64_t version[3]) {
    struct stat status;
    if (stat(path, &status)) return -errno;
    version[0] = status.st_ino;
    version[1] = (uint64_t)status.st_size;
    version[2] = (uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec;
    return 0;
}
