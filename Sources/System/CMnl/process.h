#pragma once
// System calls that Swift's Glibc does not show: variadic ones, and those behind _GNU_SOURCE.
// Each returns what the call returns, with errno set.
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#define GH_CLONE_NEWNET 0x40000000
#define GH_MCL_ONFAULT 4

static inline int gh_setns(int fd, int type) { return (int)syscall(SYS_setns, fd, type); }
static inline int gh_unshare(int flags) { return (int)syscall(SYS_unshare, flags); }

static inline int gh_set_dumpable(int dumpable) { return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0); }
static inline int gh_get_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

// The index of an interface as the socket's network namespace knows it, or -1.
static inline int gh_interface_index(int fd, const char *name) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(fd, SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : -1;
}

// The state of the clock discipline: TIME_OK and so on, TIME_ERROR when nothing keeps the clock right.
static inline int gh_clock_state(void) {
    struct timex state;
    memset(&state, 0, sizeof state);
    return adjtimex(&state);
}
