// Counts the calling thread's requests for heap memory, so that "no allocation per packet" is a figure and not a claim.
// The counter stands in front of the C library's allocator in every program that links this target; it costs one
// thread-local increment. Under a sanitizer, which brings its own allocator, it counts nothing.
#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H

#include <stdint.h>

/// Requests (malloc, calloc, realloc and the aligned ones) of this thread since it began; 0 under a sanitizer.
uint64_t callocations_of_thread(void);
/// Whether requests are counted in this build.
int callocations_are_counted(void);
/// Processor time of this thread in nanoseconds.
uint64_t callocations_thread_nanoseconds(void);

#endif
