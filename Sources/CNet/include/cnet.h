// What Glibc's Swift module does not export: batched datagrams (recvmmsg, sendmmsg), epoll, eventfd and signalfd, and a
// few calls around a UDP socket. No policy lives here: every function returns a count, a descriptor or 0, and -errno
// where the system refused.
#ifndef CNET_H
#define CNET_H

#include <stddef.h>
#include <stdint.h>

/// The most datagrams that one system call moves.
#define CNET_BATCH 64
/// Bytes of a slot: above any packet of discv5 (1,280), so that a longer one is seen as too long.
#define CNET_SLOT 2048

/// Buffers and headers of CNET_BATCH datagrams, allocated once.
typedef struct cnet_batch cnet_batch;

cnet_batch *cnet_batch_create(void);
void cnet_batch_destroy(cnet_batch *batch);

/// Opens a non-blocking UDP socket bound to an IPv4 (4 bytes) or IPv6 (16 bytes) address. An IPv6 socket takes IPv4
/// peers too, as mapped addresses. The buffers are asked for at `buffer_bytes`; the system may give less.
int cnet_udp_open(const uint8_t *address, size_t address_length, uint16_t port, int buffer_bytes);
/// The port that the socket is bound to, or -errno.
int cnet_udp_port(int fd);
/// The receive buffer that the system gave, in bytes, or -errno.
int cnet_udp_receive_buffer(int fd);

/// Fills the batch with what waits on the socket: how many, 0 where nothing waits.
int cnet_receive(int fd, cnet_batch *batch);
/// Bytes of a received datagram; a length of 0 for one that did not fit its slot.
const uint8_t *cnet_datagram(const cnet_batch *batch, int index, size_t *length);
/// Where a received datagram came from: the length of the address (4 or 16), 0 where it has none.
int cnet_source(const cnet_batch *batch, int index, uint8_t address[16], uint16_t *port);

/// Puts a datagram into a slot: 0, or -EMSGSIZE, or -EAFNOSUPPORT for an IPv6 address on an IPv4 socket.
int cnet_put(cnet_batch *batch, int index, const uint8_t *bytes, size_t length, const uint8_t *address,
             size_t address_length, uint16_t port, int socket_is_ipv6);
/// Sends slots from..<count: how many went, or -errno about slot `from`.
int cnet_send(int fd, cnet_batch *batch, int from, int count);

int cnet_poll_create(void);
/// Waits for input on `fd`, and for room to write where `writable` is not 0. `token` comes back from cnet_poll_wait.
int cnet_poll_add(int poll, int fd, uint32_t token, int writable);
int cnet_poll_change(int poll, int fd, uint32_t token, int writable);
/// Waits until something is ready or the time is over (negative: no limit). Tokens of what is ready; at most 8.
int cnet_poll_wait(int poll, uint32_t tokens[8], int64_t timeout_microseconds);

int cnet_event_create(void);
int cnet_event_signal(int fd);
int cnet_event_clear(int fd);

/// Blocks SIGINT and SIGTERM in this thread (and in those it starts) and returns a descriptor that reports them.
int cnet_signals_open(void);
/// The number of the next waiting signal, 0 where none waits.
int cnet_signals_next(int fd);
/// A write to a closed pipe or beyond the file-size limit becomes an error of that write instead of ending the process.
void cnet_ignore_write_signals(void);

int cnet_close(int fd);

#endif
