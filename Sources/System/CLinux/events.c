#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sched.h>
#include <unistd.h>

int clinux_events_open(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int clinux_events_watch(int events, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int clinux_events_forget(int events, int fd) {
    struct epoll_event event = {.events = 0};
    return epoll_ctl(events, EPOLL_CTL_DEL, fd, &event) ? -errno : 0;
}

int clinux_events_wait(int events, int *ready, int count) {
    struct epoll_event list[64];
    int n = epoll_wait(events, list, count < 64 ? count : 64, -1);
    if (n < 0) return -errno;
    for (int i = 0; i < n; i++) ready[i] = list[i].data.fd;
    return n;
}

int clinux_wake_open(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void clinux_wake_ring(int wake) {
    eventfd_write(wake, 1);
}

void clinux_wake_clear(int wake) {
    eventfd_t count;
    eventfd_read(wake, &count);
}

int clinux_usable_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void clinux_name_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}
