#pragma once
// System calls that Swift's Glibc does not show: variadic ones, and those behind _GNU_SOURCE.
// Each returns what the call returns, with errno set.
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <linux/filter.h>
#include <unistd.h>

#define GH_CLONE_NEWNET 0x40000000
#define GH_MCL_ONFAULT 4
#define GH_RLIMIT_MEMLOCK 8

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

// A socket filter for netlink: datagrams whose first message has another type are dropped.
static inline int gh_keep_only(int fd, unsigned short type) {
    struct sock_filter code[] = {
        // Loads are big-endian; netlink's numbers are in host order.
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(type), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

// Sends a datagram with up to 64 descriptors (SCM_RIGHTS) to a Unix socket.
static inline ssize_t gh_send_descriptors(int fd, const struct sockaddr *target, socklen_t target_length, const void *data,
                                          size_t length, const int *descriptors, size_t count) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(64 * sizeof(int))];
    } control;
    struct iovec part = {(void *)data, length};
    struct msghdr message;
    if (count > 64) count = 64;
    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    message.msg_name = (void *)target;
    message.msg_namelen = target_length;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

// The state of the clock discipline: TIME_OK and so on, TIME_ERROR when nothing keeps the clock right.
static inline int gh_clock_state(void) {
    struct timex state;
    memset(&state, 0, sizeof state);
    return adjtimex(&state);
}

// glibc hides in6_pktinfo behind _GNU_SOURCE; this is its layout (RFC 3542 section 6).
struct gh_in6_pktinfo {
    struct in6_addr ipi6_addr;
    unsigned int ipi6_ifindex;
};

// Sends from a chosen source address (IP_PKTINFO, IPV6_PKTINFO), which must be one of this machine's. `source` and
// `target` point at 4 or 16 bytes in network order. Never waits.
static inline ssize_t gh_send_from(int fd, int family, const void *source, const void *target,
                                   const void *data, size_t length) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct gh_in6_pktinfo))];
    } control;
    struct sockaddr_in to4;
    struct sockaddr_in6 to6;
    struct iovec part = {(void *)data, length};
    struct msghdr message;
    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    if (family == AF_INET) {
        memset(&to4, 0, sizeof to4);
        to4.sin_family = AF_INET;
        memcpy(&to4.sin_addr, target, 4);
        message.msg_name = &to4;
        message.msg_namelen = sizeof to4;
        message.msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = IPPROTO_IP;
        header->cmsg_type = IP_PKTINFO;
        header->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
        memcpy(&((struct in_pktinfo *)CMSG_DATA(header))->ipi_spec_dst, source, 4);
    } else {
        memset(&to6, 0, sizeof to6);
        to6.sin6_family = AF_INET6;
        memcpy(&to6.sin6_addr, target, 16);
        message.msg_name = &to6;
        message.msg_namelen = sizeof to6;
        message.msg_controllen = CMSG_SPACE(sizeof(struct gh_in6_pktinfo));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = IPPROTO_IPV6;
        header->cmsg_type = IPV6_PKTINFO;
        header->cmsg_len = CMSG_LEN(sizeof(struct gh_in6_pktinfo));
        memcpy(&((struct gh_in6_pktinfo *)CMSG_DATA(header))->ipi6_addr, source, 16);
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}
