#define _GNU_SOURCE
#include "callocations.h"

#include <errno.h>
#include <stddef.h>

#if defined(__GLIBC__)

// The C library keeps its own functions under these names for whoever stands in front of them.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static __thread uint64_t requests __attribute__((tls_model("initial-exec")));

void *malloc(size_t size) {
    requests++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    requests++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    requests++;
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    requests++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    requests++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    requests++;
    void *memory = __libc_memalign(alignment, size);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}

uint64_t callocations_of_thread(void) { return requests; }

#endif
