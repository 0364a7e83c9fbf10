#pragma once
#include <stddef.h>
#include <stdint.h>

// Every function returns a negative errno on failure.

// The header in front of every packet that a TUN device with IFF_VNET_HDR gives and takes (struct virtio_net_hdr).
typedef struct {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t header_length;
    uint16_t gso_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
} clinux_vnet_header;

enum { CLINUX_VNET_NEEDS_CHECKSUM = 1, CLINUX_VNET_WHOLE = 0, CLINUX_VNET_TCP4 = 1, CLINUX_VNET_TCP6 = 4 };

// A TUN device that lives as long as the returned descriptor: raw IP with a clinux_vnet_header, non-blocking. With
// `offload` the kernel hands over TCP in pieces of up to 64 KiB, checksums unfinished. -EEXIST: the name is taken.
int clinux_tun_open(const char *name, int offload);
int clinux_link_index(const char *name);
int clinux_link_set_mtu(const char *name, int mtu);
int clinux_link_set_up(const char *name);
// No IPv6 link-local address of the kernel's own making.
int clinux_link_no_autoconf(int index);
// Adds (or, with `add` zero, removes) an address with its prefix length.
int clinux_address(int index, int is_ipv6, const uint8_t *address, int prefix_length, int add);
// Moves the calling thread, and what it opens and starts from now on, into the namespace that `path` names.
int clinux_enter_network_namespace(const char *path);
