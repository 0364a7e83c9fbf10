#pragma once
#include <stddef.h>
#include <stdint.h>

// Every function returns a negative errno on failure.

// One datagram that was read.
typedef struct {
    int32_t length;
    // Non-zero: several datagrams of this many bytes lie one behind the other (UDP GRO); the last may be shorter.
    uint16_t segment;
    uint16_t remote_port;
    uint8_t traffic_class;
    uint8_t is_ipv6;
    uint8_t truncated;
    // Network order, 4 or 16 bytes: where it was sent to (zero if unknown) and where it came from.
    uint8_t local[16];
    uint8_t remote[16];
} clinux_received;

// One datagram to send, or several of `segment` bytes one behind the other (UDP GSO) when that is non-zero.
typedef struct {
    const void *data;
    uint32_t length;
    uint16_t segment;
    uint16_t remote_port;
    uint8_t traffic_class;
    uint8_t is_ipv6;
    // The source address; all zeros lets the kernel choose.
    uint8_t local[16];
    uint8_t remote[16];
} clinux_outgoing;

enum { CLINUX_BATCH = 64 };

// Opens a non-blocking UDP socket, or a raw socket for ESP, and binds it. IPv6 sockets are IPv6 only. Packets are sent
// with DF clear and TTL 64. With `gro`, received UDP datagrams may come joined.
int clinux_socket(int is_ipv6, int is_esp, const uint8_t *address, uint16_t port, int buffer_bytes, int gro);
// Non-zero when `fd` is a UDP socket of the family that is bound to this address and port. It is then made ready for
// this process, like one of clinux_socket.
int clinux_take_socket(int fd, int is_ipv6, const uint8_t *address, uint16_t port);
// Has the kernel take ESP in UDP (RFC 3948) off a UDP socket and decrypt it; IKE still comes up to us.
int clinux_esp_in_udp(int fd);
// Keeps a socket's packets out of all IPsec policies, both ways.
int clinux_bypass_ipsec(int fd, int is_ipv6);
// The port that a socket is bound to.
int clinux_port(int fd);
// Reads up to `count` (at most CLINUX_BATCH) datagrams; the nth lands at buffers + n * stride. 0: nothing to read.
// ICMP errors that wait on the socket are passed over.
int clinux_receive(int fd, void *buffers, size_t stride, clinux_received *received, int count);
// Sends up to `count` (at most CLINUX_BATCH) and returns how many went; the failure is that of the first that did not.
int clinux_send(int fd, const clinux_outgoing *outgoing, int count);
// An unbound UDP socket for clinux_source_address.
int clinux_probe_socket(int is_ipv6);
// The address that packets to `remote` would leave from: connects the UDP socket `fd` and dissolves it again.
int clinux_source_address(int fd, int is_ipv6, const uint8_t *remote, uint8_t *local);
// The nanoseconds of CLOCK_BOOTTIME.
int64_t clinux_boottime(void);
