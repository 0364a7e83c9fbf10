#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

int clinux_tun_open(const char *name, int offload) {
    if (strlen(name) >= IFNAMSIZ) return -ENAMETOOLONG;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return -errno;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name);
    request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
    int size = sizeof(clinux_vnet_header), error = 0;
    unsigned features = offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
    if (ioctl(fd, TUNSETIFF, &request)) error = errno == EBUSY ? -EEXIST : -errno;
    else if (ioctl(fd, TUNSETVNETHDRSZ, &size)) error = -errno;
    else if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)features)) error = -errno;
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

static int with_interface(const char *name, int (*change)(int, struct ifreq *, int), int value) {
    if (strlen(name) >= IFNAMSIZ) return -ENAMETOOLONG;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name);
    int result = change(fd, &request, value);
    if (result < 0) result = -errno;
    close(fd);
    return result;
}

static int get_index(int fd, struct ifreq *request, int value) {
    (void)value;
    return ioctl(fd, SIOCGIFINDEX, request) ? -1 : request->ifr_ifindex;
}

static int set_mtu(int fd, struct ifreq *request, int value) {
    request->ifr_mtu = value;
    return ioctl(fd, SIOCSIFMTU, request);
}

static int set_up(int fd, struct ifreq *request, int value) {
    if (ioctl(fd, SIOCGIFFLAGS, request)) return -1;
    request->ifr_flags |= (short)value;
    return ioctl(fd, SIOCSIFFLAGS, request);
}

int clinux_link_index(const char *name) { return with_interface(name, get_index, 0); }
int clinux_link_set_mtu(const char *name, int mtu) { return with_interface(name, set_mtu, mtu); }
int clinux_link_set_up(const char *name) { return with_interface(name, set_up, IFF_UP); }

typedef struct {
    struct nlmsghdr header;
    union {
        struct ifaddrmsg address;
        struct ifinfomsg link;
    };
    char attributes[256];
} request;

static struct rtattr *attribute(request *r, unsigned short type, const void *data, size_t length) {
    struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->header.nlmsg_len));
    a->rta_type = type;
    a->rta_len = (unsigned short)RTA_LENGTH(length);
    if (length) memcpy(RTA_DATA(a), data, length);
    r->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->header.nlmsg_len) + RTA_ALIGN(a->rta_len));
    return a;
}

static void finish(request *r, struct rtattr *nest) {
    nest->rta_len = (unsigned short)((char *)r + r->header.nlmsg_len - (char *)nest);
}

// Sends one rtnetlink request and returns what its acknowledgement says.
static int ask(request *r) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    char reply[4096] __attribute__((aligned(8)));
    int result = -EPROTO;
    r->header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    if (send(fd, r, r->header.nlmsg_len, 0) < 0) {
        result = -errno;
    } else {
        ssize_t n = recv(fd, reply, sizeof reply, 0);
        struct nlmsghdr *h = (struct nlmsghdr *)reply;
        if (n < 0) result = -errno;
        else if (NLMSG_OK(h, (unsigned)n) && h->nlmsg_type == NLMSG_ERROR)
            result = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
    }
    close(fd);
    return result;
}

int clinux_link_no_autoconf(int index) {
    request r;
    memset(&r, 0, sizeof r);
    r.header.nlmsg_len = NLMSG_LENGTH(sizeof r.link);
    r.header.nlmsg_type = RTM_NEWLINK;
    r.link.ifi_index = index;
    uint8_t mode = 1; // IN6_ADDR_GEN_MODE_NONE
    struct rtattr *outer = attribute(&r, IFLA_AF_SPEC, NULL, 0);
    struct rtattr *inner = attribute(&r, AF_INET6, NULL, 0);
    attribute(&r, IFLA_INET6_ADDR_GEN_MODE, &mode, 1);
    finish(&r, inner);
    finish(&r, outer);
    return ask(&r);
}

int clinux_address(int index, int is_ipv6, const uint8_t *address, int prefix_length, int add) {
    request r;
    memset(&r, 0, sizeof r);
    size_t length = is_ipv6 ? 16 : 4;
    r.header.nlmsg_len = NLMSG_LENGTH(sizeof r.address);
    r.header.nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
    r.header.nlmsg_flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;
    r.address.ifa_family = is_ipv6 ? AF_INET6 : AF_INET;
    r.address.ifa_prefixlen = (uint8_t)prefix_length;
    // A tunnel has no neighbours to ask whether the address is taken.
    if (is_ipv6) r.address.ifa_flags = IFA_F_NODAD;
    r.address.ifa_index = (uint32_t)index;
    attribute(&r, IFA_LOCAL, address, length);
    attribute(&r, IFA_ADDRESS, address, length);
    return ask(&r);
}

int clinux_enter_network_namespace(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int error = setns(fd, CLONE_NEWNET) ? -errno : 0;
    close(fd);
    return error;
}
