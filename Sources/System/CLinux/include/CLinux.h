#pragma once
// What Swift cannot call by itself: control messages of sockets, variadic ioctl and fcntl, and kernel numbers
// newer than Debian 12's headers. The libc socket headers come first: a <linux/...> header before them defines
// in6_addr differently.
#include <sys/socket.h>
#include <netinet/in.h>
#include <stdint.h>
#include "events.h"
#include "files.h"
#include "sockets.h"
#include "tun.h"
