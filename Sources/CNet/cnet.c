#define _GNU_SOURCE
#include "cnet.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Names of Linux 4.18 and 5.0; the C library's headers have them only beside others that clash.
#define LEVEL_UDP 17
#define OPTION_SEGMENT 103
#define OPTION_GRO 104

struct cnet_inbox {
    int slots;
    size_t slot_bytes;
    struct mmsghdr headers[CNET_READS];
    struct iovec vectors[CNET_READS];
    struct sockaddr_storage addresses[CNET_READS];
    char controls[CNET_READS][CMSG_SPACE(sizeof(int))];
    uint8_t *bytes;
};

struct cnet_outbox {
    struct mmsghdr headers[CNET_SENDS];
    struct iovec vectors[CNET_SENDS];
    struct sockaddr_storage addresses[CNET_SENDS];
    char controls[CNET_SENDS][CMSG_SPACE(sizeof(uint16_t))];
};

cnet_inbox *cnet_inbox_create(int coalesced) {
    cnet_inbox *inbox = calloc(1, sizeof(cnet_inbox));
    if (!inbox) return NULL;
    inbox->slots = coalesced ? CNET_COALESCED_READS : CNET_READS;
    inbox->slot_bytes = coalesced ? 65536 : 2048;
    inbox->bytes = malloc(inbox->slots * inbox->slot_bytes);
    if (!inbox->bytes) {
        free(inbox);
        return NULL;
    }
    for (int i = 0; i < inbox->slots; i++) {
        inbox->vectors[i].iov_base = inbox->bytes + i * inbox->slot_bytes;
        inbox->vectors[i].iov_len = inbox->slot_bytes;
        inbox->headers[i].msg_hdr.msg_iov = &inbox->vectors[i];
        inbox->headers[i].msg_hdr.msg_iovlen = 1;
        inbox->headers[i].msg_hdr.msg_name = &inbox->addresses[i];
        inbox->headers[i].msg_hdr.msg_control = inbox->controls[i];
    }
    return inbox;
}

void cnet_inbox_destroy(cnet_inbox *inbox) {
    if (inbox) free(inbox->bytes);
    free(inbox);
}

cnet_outbox *cnet_outbox_create(void) {
    cnet_outbox *outbox = calloc(1, sizeof(cnet_outbox));
    if (!outbox) return NULL;
    for (int i = 0; i < CNET_SENDS; i++) {
        outbox->headers[i].msg_hdr.msg_iov = &outbox->vectors[i];
        outbox->headers[i].msg_hdr.msg_iovlen = 1;
        outbox->headers[i].msg_hdr.msg_name = &outbox->addresses[i];
    }
    return outbox;
}

void cnet_outbox_destroy(cnet_outbox *outbox) { free(outbox); }

static socklen_t fill_address(struct sockaddr_storage *out, const uint8_t *address, size_t length, uint16_t port,
                              int ipv6) {
    if (ipv6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        memset(six, 0, sizeof(*six));
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        if (length == 16) {
            memcpy(&six->sin6_addr, address, 16);
        } else {
            six->sin6_addr.s6_addr[10] = six->sin6_addr.s6_addr[11] = 0xff;
            memcpy(&six->sin6_addr.s6_addr[12], address, 4);
        }
        return sizeof(*six);
    }
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    memset(four, 0, sizeof(*four));
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    memcpy(&four->sin_addr, address, 4);
    return sizeof(*four);
}

static void grow_buffer(int fd, int option, int forced, int bytes) {
    // The forced form passes the system's limit where the process may; the plain one is cut to the limit silently.
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes));
}

int cnet_udp_open(const uint8_t *address, size_t address_length, uint16_t port, int buffer_bytes) {
    if (address_length != 4 && address_length != 16) return -EAFNOSUPPORT;
    int ipv6 = address_length == 16;
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (ipv6) {
        int off = 0;
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    grow_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, buffer_bytes);
    grow_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, buffer_bytes);
    struct sockaddr_storage name;
    socklen_t size = fill_address(&name, address, address_length, port, ipv6);
    if (bind(fd, (struct sockaddr *)&name, size) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int cnet_udp_port(int fd) {
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &size) != 0) return -errno;
    if (name.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
    return ntohs(((struct sockaddr_in *)&name)->sin_port);
}

int cnet_udp_receive_buffer(int fd) {
    int bytes = 0;
    socklen_t size = sizeof(bytes);
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) != 0) return -errno;
    // The system reports twice what it gives, to count its own bookkeeping.
    return bytes / 2;
}

int cnet_udp_coalesce(int fd) {
    int on = 1;
    return setsockopt(fd, LEVEL_UDP, OPTION_GRO, &on, sizeof(on)) == 0 ? 0 : -errno;
}

int cnet_udp_can_segment(int fd) {
    int size = 0;
    socklen_t length = sizeof(size);
    return getsockopt(fd, LEVEL_UDP, OPTION_SEGMENT, &size, &length) == 0 ? 0 : -errno;
}

int cnet_receive(int fd, cnet_inbox *inbox) {
    for (int i = 0; i < inbox->slots; i++) {
        inbox->headers[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_storage);
        inbox->headers[i].msg_hdr.msg_controllen = sizeof(inbox->controls[i]);
        inbox->headers[i].msg_hdr.msg_flags = 0;
    }
    int count = recvmmsg(fd, inbox->headers, (unsigned)inbox->slots, MSG_DONTWAIT, NULL);
    if (count >= 0) return count;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
}

int cnet_inbox_reads(const cnet_inbox *inbox) { return inbox->slots; }

const uint8_t *cnet_read(cnet_inbox *inbox, int index, size_t *length, size_t *segment) {
    struct mmsghdr *header = &inbox->headers[index];
    *length = header->msg_hdr.msg_flags & MSG_TRUNC ? 0 : header->msg_len;
    *segment = *length;
    struct cmsghdr *control = CMSG_FIRSTHDR(&header->msg_hdr);
    if (control && control->cmsg_level == LEVEL_UDP && control->cmsg_type == OPTION_GRO) {
        int size = 0;
        memcpy(&size, CMSG_DATA(control), sizeof(size));
        if (size > 0) *segment = (size_t)size;
    }
    return inbox->vectors[index].iov_base;
}

int cnet_source(const cnet_inbox *inbox, int index, uint8_t address[16], uint16_t *port) {
    const struct sockaddr_storage *name = &inbox->addresses[index];
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)name;
        memcpy(address, &four->sin_addr, 4);
        *port = ntohs(four->sin_port);
        return 4;
    }
    if (name->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)name;
        memcpy(address, &six->sin6_addr, 16);
        *port = ntohs(six->sin6_port);
        return 16;
    }
    return 0;
}

void cnet_put(cnet_outbox *outbox, int index, const uint8_t *bytes, size_t length, size_t segment,
              const uint8_t *address, size_t address_length, uint16_t port, int socket_is_ipv6) {
    struct msghdr *header = &outbox->headers[index].msg_hdr;
    outbox->vectors[index].iov_base = (void *)bytes;
    outbox->vectors[index].iov_len = length;
    header->msg_namelen = fill_address(&outbox->addresses[index], address, address_length, port, socket_is_ipv6);
    header->msg_control = NULL;
    header->msg_controllen = 0;
    if (segment >= length) return;
    header->msg_control = outbox->controls[index];
    header->msg_controllen = sizeof(outbox->controls[index]);
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    control->cmsg_level = LEVEL_UDP;
    control->cmsg_type = OPTION_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t size = (uint16_t)segment;
    memcpy(CMSG_DATA(control), &size, sizeof(size));
}

int cnet_send(int fd, cnet_outbox *outbox, int count) {
    int sent;
    do {
        sent = sendmmsg(fd, outbox->headers, (unsigned)count, MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int cnet_poll_create(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int control(int poll, int operation, int fd, uint32_t token, int writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data = {.u32 = token}};
    return epoll_ctl(poll, operation, fd, &event) == 0 ? 0 : -errno;
}

int cnet_poll_add(int poll, int fd, uint32_t token, int writable) {
    return control(poll, EPOLL_CTL_ADD, fd, token, writable);
}

int cnet_poll_change(int poll, int fd, uint32_t token, int writable) {
    return control(poll, EPOLL_CTL_MOD, fd, token, writable);
}

static int wait_events(int poll, struct epoll_event *events, int64_t microseconds) {
    if (microseconds < 0) return epoll_wait(poll, events, 8, -1);
    struct timespec limit = {.tv_sec = microseconds / 1000000, .tv_nsec = (microseconds % 1000000) * 1000};
    int count = epoll_pwait2(poll, events, 8, &limit, NULL);
    if (count >= 0 || errno != ENOSYS) return count;
    // A kernel before 5.11 counts in milliseconds: rounded up, so that a timer is due when the wait ends.
    int64_t milliseconds = (microseconds + 999) / 1000;
    return epoll_wait(poll, events, 8, milliseconds > 3600000 ? 3600000 : (int)milliseconds);
}

int64_t cnet_poll_wait(int poll, int64_t timeout_microseconds) {
    struct epoll_event events[8];
    int count = wait_events(poll, events, timeout_microseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    int64_t ready = 0;
    for (int i = 0; i < count; i++) ready |= (int64_t)1 << events[i].data.u32;
    return ready;
}

int cnet_event_create(void) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cnet_event_signal(int fd) {
    uint64_t one = 1;
    // A full counter is as good as a written one: the reader is woken either way.
    return write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN ? 0 : -errno;
}

int cnet_event_clear(int fd) {
    uint64_t count;
    return read(fd, &count, sizeof(count)) == sizeof(count) || errno == EAGAIN ? 0 : -errno;
}

int cnet_signals_open(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int refused = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (refused != 0) return -refused;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int cnet_signals_next(int fd) {
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof(info)) == sizeof(info)) return (int)info.ssi_signo;
    return errno == EAGAIN ? 0 : -errno;
}

void cnet_ignore_write_signals(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

// Below: what a handler of signals may do. No allocation, no standard streams.

// The name of the file that is mapped at `address`, from the system's list of maps: 0 where none is found.
static int mapped_file(uintptr_t address, char *name, size_t room) {
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char bytes[1024];
    // A line is "start-end rights offset device inode   name"; the name begins at the first slash.
    uintptr_t bounds[2] = {0, 0};
    size_t length = 0;
    int part = 0, in_name = 0, found = 0;
    ssize_t count;
    while (!found && (count = read(fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < count && !found; i++) {
            char c = bytes[i];
            if (c == '\n') {
                found = in_name && address >= bounds[0] && address < bounds[1];
                if (found) break;
                bounds[0] = bounds[1] = 0;
                length = 0;
                part = in_name = 0;
            } else if (in_name || c == '/') {
                in_name = 1;
                if (length + 1 < room) name[length++] = c;
            } else if (part < 2 && (c == '-' || c == ' ')) {
                part++;
            } else if (part < 2) {
                bounds[part] = bounds[part] << 4 | (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
            }
        }
    }
    close(fd);
    name[found ? length : 0] = 0;
    return found;
}

static void write_text(const char *text) {
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t count = write(STDERR_FILENO, text, length);
        if (count <= 0) return;
        text += count;
        length -= (size_t)count;
    }
}

static volatile int has_lost_page;

static void lost_page(int number, siginfo_t *info, void *context) {
    (void)context;
    if (info->si_code <= 0) {
        // Sent by somebody: it means what it always does.
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    if (__atomic_exchange_n(&has_lost_page, 1, __ATOMIC_SEQ_CST)) {
        // Another thread is telling it and ends the process.
        for (;;) pause();
    }
    char name[512];
    write_text("carousel: ");
    write_text(mapped_file((uintptr_t)info->si_addr, name, sizeof name) ? name : "a file in use");
    write_text(": was cut, or its disk fails: a page of it is gone while it is read. Check the disk; if the file is "
               "a store's, move its data directory away and start again: what is proven is fetched anew\n");
    _exit(1);
}

void cnet_end_on_lost_page(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = lost_page;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

void cnet_keep_freed_memory(int bytes) {
#ifdef __GLIBC__
    (void)mallopt(M_TRIM_THRESHOLD, bytes);
    // The most that the allocator takes; what is larger comes from the system and goes back to it.
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    // A thread's arena gives whole stretches back but for this much.
    (void)mallopt(M_TOP_PAD, bytes / 2);
#else
    (void)bytes;
#endif
}

void cnet_give_back_freed_memory(int bytes) {
#ifdef __GLIBC__
    if (mallinfo2().fordblks > 2 * (size_t)bytes) (void)malloc_trim((size_t)bytes);
#else
    (void)bytes;
#endif
}

int cnet_close(int fd) { return close(fd) == 0 ? 0 : -errno; }
