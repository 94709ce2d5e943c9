// The sockets of the relay for published ports: what ip(7), ipv6(7), tcp(7) and epoll(7) give as variadic calls, macros or
// unions. Functions return a value >= 0, or -errno.
#ifndef MARTLET_RELAY_H
#define MARTLET_RELAY_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

// asm-generic/socket.h, since Linux 5.0; absent from older C libraries.
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

/// An address with its port, of the family that `common.sa_family` tells.
typedef union {
  struct sockaddr common;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} martlet_socket_address;

/// The two ends of a datagram that a relay's socket received. `local`: the address it was sent to, without port; `interface`:
/// where it came in, 0 unless `local` means something on that interface alone.
struct martlet_datagram_ends {
  martlet_socket_address remote;
  martlet_socket_address local;
  unsigned int interface;
};

/// `bytes`: 4 or 16, in the order of the wire. `port` in the host's order.
static inline martlet_socket_address martlet_make_socket_address(const uint8_t *bytes, int is_ipv6, uint16_t port) {
  martlet_socket_address address;
  memset(&address, 0, sizeof address);
  if (is_ipv6) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port);
    memcpy(&address.v6.sin6_addr, bytes, 16);
  } else {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    memcpy(&address.v4.sin_addr, bytes, 4);
  }
  return address;
}

static inline void martlet_set_socket_port(martlet_socket_address *address, uint16_t port) {
  if (address->common.sa_family == AF_INET6)
    address->v6.sin6_port = htons(port);
  else
    address->v4.sin_port = htons(port);
}

static inline socklen_t martlet_socket_address_size(const martlet_socket_address *address) {
  return address->common.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

static inline int martlet_set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

/// Closes `fd` and gives `error` on, if it is one.
static inline int martlet_close_on_error(int fd, int error) {
  if (error >= 0) return fd;
  close(fd);
  return error;
}

/// A non-blocking socket of the family of `address`, not yet bound. `interface`: that it is to hear alone, or 0.
static inline int martlet_relay_socket(const martlet_socket_address *address, int type, int interface) {
  int fd = socket(address->common.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int result = 0;
  if (address->common.sa_family == AF_INET6) result = martlet_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (result == 0 && interface != 0) result = martlet_set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, interface);
  return martlet_close_on_error(fd, result);
}

/// A listening TCP socket. Connections of an earlier one that are in TIME-WAIT do not hold the address: it is taken with
/// SO_REUSEADDR where the plain way is refused, which on Linux shares it with no socket that listens.
static inline int martlet_relay_listen(const martlet_socket_address *address, int interface, int backlog) {
  int fd = martlet_relay_socket(address, SOCK_STREAM, interface);
  if (fd < 0) return fd;
  socklen_t size = martlet_socket_address_size(address);
  int result = bind(fd, &address->common, size) == 0 ? 0 : -errno;
  if (result == -EADDRINUSE) {
    result = martlet_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result == 0) result = bind(fd, &address->common, size) == 0 ? 0 : -errno;
  }
  if (result == 0 && listen(fd, backlog) != 0) result = -errno;
  return martlet_close_on_error(fd, result);
}

/// A bound UDP socket that tells the address each datagram was sent to.
static inline int martlet_relay_bind_datagrams(const martlet_socket_address *address, int interface) {
  int fd = martlet_relay_socket(address, SOCK_DGRAM, interface);
  if (fd < 0) return fd;
  int result = address->common.sa_family == AF_INET6 ? martlet_set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                                                     : martlet_set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
  if (result == 0 && bind(fd, &address->common, martlet_socket_address_size(address)) != 0) result = -errno;
  return martlet_close_on_error(fd, result);
}

/// What a relayed connection's sockets have in common. A dead peer is noticed in the kernel's own time.
static inline int martlet_relay_prepare_stream(int fd) {
  int result = martlet_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return result == 0 ? martlet_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) : result;
}

/// The next connection of a listening socket, non-blocking. SO_REUSEADDR goes with it into TIME-WAIT, so that it does not
/// hold the port against the next listener.
static inline int martlet_relay_accept(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return -errno;
  int result = martlet_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (result == 0) result = martlet_relay_prepare_stream(fd);
  // A connection that is gone already is none; the options are not refused otherwise.
  return martlet_close_on_error(fd, result < 0 ? -ECONNABORTED : 0);
}

/// A non-blocking socket of `type` that connects to `address`; a TCP connection need not stand yet.
static inline int martlet_relay_connect(const martlet_socket_address *address, int type) {
  int fd = socket(address->common.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int result = type == SOCK_STREAM ? martlet_relay_prepare_stream(fd) : 0;
  if (result == 0 && connect(fd, &address->common, martlet_socket_address_size(address)) != 0 && errno != EINPROGRESS)
    result = -errno;
  return martlet_close_on_error(fd, result);
}

/// The error that a socket holds, taken from it: 0, or -errno.
static inline int martlet_take_socket_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -errno;
  return -error;
}

/// Ends a TCP connection by a reset, and whatever it had still to send. By disconnecting (connect(2), AF_UNSPEC) rather than
/// by SO_LINGER and close: a child process between fork() and exec() holds the socket too, and would put off its end.
static inline void martlet_reset_stream(int fd) {
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  connect(fd, &none, sizeof none);
  close(fd);
}

/// Registers `fd` at `epoll` with `token`.
static inline int martlet_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
  struct epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = events;
  event.data.u64 = token;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/// Gives the process's descriptor table room for a descriptor `number` and all below it, in one step (fcntl(2), F_DUPFD).
static inline int martlet_reserve_descriptors(int any, int number) {
  int fd = fcntl(any, F_DUPFD_CLOEXEC, number);
  if (fd < 0) return -errno;
  close(fd);
  return 0;
}

/// Receives one datagram; its length, or -errno.
static inline ssize_t martlet_relay_receive(int fd, void *bytes, size_t size, struct martlet_datagram_ends *ends) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
  } control;
  struct iovec vector = {.iov_base = bytes, .iov_len = size};
  struct msghdr message = {.msg_name = &ends->remote,
                           .msg_namelen = sizeof ends->remote,
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  memset(ends, 0, sizeof *ends);
  ssize_t length = recvmsg(fd, &message, 0);
  if (length < 0) return -errno;
  for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each != NULL; each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) {
      const struct in_pktinfo *info = (const struct in_pktinfo *)CMSG_DATA(each);
      ends->local.v4.sin_family = AF_INET;
      ends->local.v4.sin_addr = info->ipi_spec_dst;
    } else if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO) {
      const struct in6_pktinfo *info = (const struct in6_pktinfo *)CMSG_DATA(each);
      ends->local.v6.sin6_family = AF_INET6;
      ends->local.v6.sin6_addr = info->ipi6_addr;
      if (IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)) ends->interface = info->ipi6_ifindex;
    }
  }
  return length;
}

/// 1: `ends.local` was one host's, so an answer can come from it; 0: a group's, or not told.
static inline int martlet_is_unicast(const struct martlet_datagram_ends *ends) {
  if (ends->local.common.sa_family == AF_INET6) return !IN6_IS_ADDR_MULTICAST(&ends->local.v6.sin6_addr);
  return ends->local.common.sa_family == AF_INET && !IN_MULTICAST(ntohl(ends->local.v4.sin_addr.s_addr));
}

/// Sends a datagram back the way one came: from `ends.local` to `ends.remote`. Its length, or -errno.
static inline ssize_t martlet_relay_reply(int fd, void *bytes, size_t size, const struct martlet_datagram_ends *ends) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec vector = {.iov_base = bytes, .iov_len = size};
  struct msghdr message = {.msg_name = (void *)&ends->remote,
                           .msg_namelen = martlet_socket_address_size(&ends->remote),
                           .msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = &control};
  if (ends->local.common.sa_family == AF_INET6) {
    struct in6_pktinfo info = {.ipi6_addr = ends->local.v6.sin6_addr, .ipi6_ifindex = ends->interface};
    control.header.cmsg_level = IPPROTO_IPV6;
    control.header.cmsg_type = IPV6_PKTINFO;
    control.header.cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(&control.header), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    struct in_pktinfo info = {.ipi_spec_dst = ends->local.v4.sin_addr};
    control.header.cmsg_level = IPPROTO_IP;
    control.header.cmsg_type = IP_PKTINFO;
    control.header.cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(&control.header), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  }
  ssize_t length = sendmsg(fd, &message, MSG_NOSIGNAL);
  return length >= 0 ? length : -errno;
}

#endif
