// What Glibc's Swift module does not export: batched datagrams (recvmmsg, sendmmsg), epoll, eventfd and signalfd, and a
// few calls around a UDP socket. No policy lives here: every function returns a count, a descriptor or 0, and -errno
// where the system refused.
#ifndef CNET_H
#define CNET_H

#include <stddef.h>
#include <stdint.h>

/// Reads of one system call: single datagrams, or runs of datagrams that the system joined.
#define CNET_READS 64
#define CNET_COALESCED_READS 16
/// Sends of one system call, each a datagram or a run of them.
#define CNET_SENDS 64
/// The most datagrams and bytes that one send may hold. Linux: UDP_MAX_SEGMENTS was 64 first; an IP packet's 65,535
/// bytes less its headers.
#define CNET_SEGMENTS 64
#define CNET_SEND_BYTES 65000

/// Memory and headers of what one call receives, and headers of what one call sends; each allocated once.
typedef struct cnet_inbox cnet_inbox;
typedef struct cnet_outbox cnet_outbox;

/// `coalesced` not 0: slots large enough for runs.
cnet_inbox *cnet_inbox_create(int coalesced);
void cnet_inbox_destroy(cnet_inbox *inbox);
cnet_outbox *cnet_outbox_create(void);
void cnet_outbox_destroy(cnet_outbox *outbox);

/// Opens a non-blocking UDP socket bound to an IPv4 (4 bytes) or IPv6 (16 bytes) address. An IPv6 socket takes IPv4
/// peers too, as mapped addresses. The buffers are asked for at `buffer_bytes`; the system may give less.
int cnet_udp_open(const uint8_t *address, size_t address_length, uint16_t port, int buffer_bytes);
/// The port that the socket is bound to, or -errno.
int cnet_udp_port(int fd);
/// The receive buffer that the system gave, in bytes, or -errno.
int cnet_udp_receive_buffer(int fd);

/// Lets the system join datagrams of one sender and size into one read (UDP_GRO): 0, or -errno where it cannot.
int cnet_udp_coalesce(int fd);
/// Whether the system can split one send into datagrams (UDP_SEGMENT): 0, or -errno.
int cnet_udp_can_segment(int fd);

/// Fills the inbox with what waits on the socket: how many reads, 0 where nothing waits.
int cnet_receive(int fd, cnet_inbox *inbox);
/// Reads of one call at most.
int cnet_inbox_reads(const cnet_inbox *inbox);
/// Bytes of a read: a run of datagrams of `segment` bytes each, the last one perhaps shorter. A length of 0 for one
/// that did not fit its slot.
const uint8_t *cnet_read(cnet_inbox *inbox, int index, size_t *length, size_t *segment);
/// Where a read came from: the length of the address (4 or 16), 0 where it has none.
int cnet_source(const cnet_inbox *inbox, int index, uint8_t address[16], uint16_t *port);

/// Names what send `index` sends: `length` bytes that must lie there until cnet_send returns, as datagrams of `segment`
/// bytes (the last one perhaps shorter). An address of 16 bytes needs an IPv6 socket.
void cnet_put(cnet_outbox *outbox, int index, const uint8_t *bytes, size_t length, size_t segment,
              const uint8_t *address, size_t address_length, uint16_t port, int socket_is_ipv6);
/// Sends 0..<count: how many went, or -errno about the first.
int cnet_send(int fd, cnet_outbox *outbox, int count);

int cnet_poll_create(void);
/// Waits for input on `fd`, and for room to write where `writable` is not 0. `token` comes back from cnet_poll_wait.
int cnet_poll_add(int poll, int fd, uint32_t token, int writable);
int cnet_poll_change(int poll, int fd, uint32_t token, int writable);
/// Waits until something is ready or the time is over (negative: no limit): a bit for each token (below 63) that is, or
/// -errno.
int64_t cnet_poll_wait(int poll, int64_t timeout_microseconds);

int cnet_event_create(void);
int cnet_event_signal(int fd);
int cnet_event_clear(int fd);

/// Blocks SIGINT and SIGTERM in this thread (and in those it starts) and returns a descriptor that reports them.
int cnet_signals_open(void);
/// The number of the next waiting signal, 0 where none waits.
int cnet_signals_next(int fd);
/// A write to a closed pipe or beyond the file-size limit becomes an error of that write instead of ending the process.
void cnet_ignore_write_signals(void);

/// A page of a mapped file that is not there any more, because the file was cut or its disk fails, ends the process
/// with exit code 1 and one line that names the file, instead of by a signal. There is no way on: the reader cannot be
/// told.
void cnet_end_on_lost_page(void);

int cnet_close(int fd);

// Has the allocator keep up to `bytes` of freed memory for the next payloads instead of giving each one's pages back
// to the system, which clears them anew. Blocks of more than 32 MiB still come straight from the system.
void cnet_keep_freed_memory(int bytes);

// Gives freed memory back to the system, all but `bytes`, where twice as much lies unused. What many requests at once
// took is scattered over the heap, and the allocator itself gives back only what lies at its end.
void cnet_give_back_freed_memory(int bytes);

#endif
