#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/xfrm.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef UDP_ENCAP
#define UDP_ENCAP 100
#endif
#ifndef UDP_ENCAP_ESPINUDP
#define UDP_ENCAP_ESPINUDP 2
#endif

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

static socklen_t fill(address *a, int is_ipv6, const uint8_t *bytes, uint16_t port) {
    memset(a, 0, sizeof *a);
    if (is_ipv6) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        if (bytes) memcpy(&a->v6.sin6_addr, bytes, 16);
        return sizeof a->v6;
    }
    a->v4.sin_family = AF_INET;
    a->v4.sin_port = htons(port);
    if (bytes) memcpy(&a->v4.sin_addr, bytes, 4);
    return sizeof a->v4;
}

static int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) ? -errno : 0;
}

int clinux_probe_socket(int is_ipv6) {
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int clinux_socket(int is_ipv6, int is_esp, const uint8_t *bytes, uint16_t port, int buffer_bytes, int gro) {
    int is_udp = !is_esp;
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, (is_udp ? SOCK_DGRAM : SOCK_RAW) | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    is_udp ? IPPROTO_UDP : IPPROTO_ESP);
    if (fd < 0) return -errno;
    int error = 0;
    if (is_ipv6) {
        // A raw IPv6 socket sees IPv6 alone anyway, and refuses the option.
        if (is_udp) error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (!error) error = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        if (!error) error = set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        if (!error) error = set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64);
        if (!error) error = set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
    } else {
        if (!error) error = set(fd, IPPROTO_IP, IP_PKTINFO, 1);
        if (!error) error = set(fd, IPPROTO_IP, IP_RECVTOS, 1);
        if (!error) error = set(fd, IPPROTO_IP, IP_TTL, 64);
        if (!error) error = set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    }
    // Beyond the system's limit where we may; a smaller buffer costs packets under load but no correctness.
    if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)) set(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes);
    if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, buffer_bytes)) set(fd, SOL_SOCKET, SO_SNDBUF, buffer_bytes);
    // Old kernels lack it: datagrams then simply come one by one.
    if (is_udp && gro) set(fd, IPPROTO_UDP, UDP_GRO, 1);
    // An address may come later than we: from a modem that boots slowly, by DHCP.
    static const uint8_t any[16];
    if (!error && memcmp(bytes, any, is_ipv6 ? 16 : 4))
        error = is_ipv6 ? set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) : set(fd, IPPROTO_IP, IP_FREEBIND, 1);
    address a;
    socklen_t length = fill(&a, is_ipv6, bytes, is_udp ? port : 0);
    if (!error && bind(fd, &a.any, length)) error = -errno;
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

int clinux_take_socket(int fd, int is_ipv6, const uint8_t *bytes, uint16_t port) {
    address wanted, bound;
    socklen_t length = sizeof bound, expected = fill(&wanted, is_ipv6, bytes, port);
    int protocol = 0;
    socklen_t size = sizeof protocol;
    if (!port || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) || protocol != IPPROTO_UDP) return 0;
    memset(&bound, 0, sizeof bound);
    if (getsockname(fd, &bound.any, &length) || length != expected || memcmp(&bound, &wanted, length)) return 0;
    return !fcntl(fd, F_SETFD, FD_CLOEXEC) && !fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int clinux_esp_in_udp(int fd) { return set(fd, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP); }

int clinux_bypass_ipsec(int fd, int is_ipv6) {
    struct xfrm_userpolicy_info policy;
    memset(&policy, 0, sizeof policy);
    policy.sel.family = is_ipv6 ? AF_INET6 : AF_INET;
    policy.action = XFRM_POLICY_ALLOW;
    policy.lft.soft_byte_limit = policy.lft.hard_byte_limit = XFRM_INF;
    policy.lft.soft_packet_limit = policy.lft.hard_packet_limit = XFRM_INF;
    for (int i = 0; i < 2; i++) {
        policy.dir = i ? XFRM_POLICY_OUT : XFRM_POLICY_IN;
        if (setsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6 ? IPV6_XFRM_POLICY : IP_XFRM_POLICY, &policy,
                       sizeof policy))
            return -errno;
    }
    return 0;
}

int clinux_port(int fd) {
    address a;
    socklen_t length = sizeof a;
    if (getsockname(fd, &a.any, &length)) return -errno;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

typedef union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
} control;

int clinux_receive(int fd, void *buffers, size_t stride, clinux_received *received, int count) {
    struct mmsghdr messages[CLINUX_BATCH];
    struct iovec parts[CLINUX_BATCH];
    address from[CLINUX_BATCH];
    control controls[CLINUX_BATCH];
    if (count > CLINUX_BATCH) count = CLINUX_BATCH;
    for (int i = 0; i < count; i++) {
        parts[i] = (struct iovec){(char *)buffers + (size_t)i * stride, stride};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i],
            .msg_iovlen = 1, .msg_control = &controls[i], .msg_controllen = sizeof controls[i]};
    }
    int n = 0;
    for (int attempt = 0; attempt < 16; attempt++) {
        n = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
        if (n >= 0) break;
        if (errno == EAGAIN) return 0;
        // A pending ICMP error is taken off the socket by the call that reports it.
        if (errno != EINTR && errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH &&
            errno != EHOSTDOWN && errno != ENOPROTOOPT && errno != EPROTO && errno != EMSGSIZE)
            return -errno;
    }
    if (n < 0) return 0;
    for (int i = 0; i < n; i++) {
        clinux_received *r = &received[i];
        struct msghdr *h = &messages[i].msg_hdr;
        memset(r, 0, sizeof *r);
        r->length = (int32_t)messages[i].msg_len;
        r->truncated = (h->msg_flags & MSG_TRUNC) != 0;
        if (h->msg_namelen && from[i].any.sa_family == AF_INET6) {
            r->is_ipv6 = 1;
            memcpy(r->remote, &from[i].v6.sin6_addr, 16);
            r->remote_port = ntohs(from[i].v6.sin6_port);
        } else {
            memcpy(r->remote, &from[i].v4.sin_addr, 4);
            r->remote_port = ntohs(from[i].v4.sin_port);
        }
        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
            int value;
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof info);
                memcpy(r->local, &info.ipi_addr, 4);
            } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof info);
                memcpy(r->local, &info.ipi6_addr, 16);
            } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
                r->traffic_class = *(uint8_t *)CMSG_DATA(c);
            } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
                memcpy(&value, CMSG_DATA(c), sizeof value);
                r->traffic_class = (uint8_t)value;
            } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
                memcpy(&value, CMSG_DATA(c), sizeof value);
                r->segment = (uint16_t)value;
            }
        }
    }
    return n;
}

static void *put(struct msghdr *h, size_t *used, int level, int type, size_t length) {
    struct cmsghdr *c = (struct cmsghdr *)((char *)h->msg_control + *used);
    memset(c, 0, CMSG_SPACE(length));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(length);
    *used += CMSG_SPACE(length);
    h->msg_controllen = *used;
    return CMSG_DATA(c);
}

int clinux_send(int fd, const clinux_outgoing *outgoing, int count) {
    static const uint8_t nothing[16];
    struct mmsghdr messages[CLINUX_BATCH];
    struct iovec parts[CLINUX_BATCH];
    address to[CLINUX_BATCH];
    control controls[CLINUX_BATCH];
    if (count > CLINUX_BATCH) count = CLINUX_BATCH;
    for (int i = 0; i < count; i++) {
        const clinux_outgoing *o = &outgoing[i];
        socklen_t length = fill(&to[i], o->is_ipv6, o->remote, o->remote_port);
        parts[i] = (struct iovec){(void *)o->data, o->length};
        struct msghdr *h = &messages[i].msg_hdr;
        *h = (struct msghdr){.msg_name = &to[i], .msg_namelen = length, .msg_iov = &parts[i], .msg_iovlen = 1,
            .msg_control = &controls[i]};
        size_t used = 0;
        if (o->is_ipv6) {
            if (memcmp(o->local, nothing, 16)) {
                struct in6_pktinfo *info = put(h, &used, IPPROTO_IPV6, IPV6_PKTINFO, sizeof *info);
                memcpy(&info->ipi6_addr, o->local, 16);
            }
            *(int *)put(h, &used, IPPROTO_IPV6, IPV6_TCLASS, sizeof(int)) = o->traffic_class;
        } else {
            if (memcmp(o->local, nothing, 4)) {
                struct in_pktinfo *info = put(h, &used, IPPROTO_IP, IP_PKTINFO, sizeof *info);
                memcpy(&info->ipi_spec_dst, o->local, 4);
            }
            *(int *)put(h, &used, IPPROTO_IP, IP_TOS, sizeof(int)) = o->traffic_class;
        }
        if (o->segment && o->segment < o->length)
            *(uint16_t *)put(h, &used, IPPROTO_UDP, UDP_SEGMENT, sizeof(uint16_t)) = o->segment;
    }
    for (;;) {
        int n = sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT);
        if (n >= 0) return n;
        if (errno != EINTR) return -errno;
    }
}

int clinux_source_address(int fd, int is_ipv6, const uint8_t *remote, uint8_t *local) {
    address a;
    socklen_t length = fill(&a, is_ipv6, remote, 500);
    int error = 0;
    if (connect(fd, &a.any, length)) return -errno;
    length = sizeof a;
    if (getsockname(fd, &a.any, &length)) error = -errno;
    else if (is_ipv6) memcpy(local, &a.v6.sin6_addr, 16);
    else memcpy(local, &a.v4.sin_addr, 4);
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    connect(fd, &nowhere, sizeof nowhere);
    return error;
}

int64_t clinux_boottime(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
