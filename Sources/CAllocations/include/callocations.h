// Counts a thread's requests for heap memory, so that "no allocation per packet" is a figure and not a claim. A library
// of its own, in no program: tools/bench has it loaded before the program (LD_PRELOAD), where it stands in front of the
// C library's allocator at the cost of one thread-local increment. The program looks for the function below by name.
#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H

#include <stdint.h>

/// Requests (malloc, calloc, realloc and the aligned ones) of the calling thread since it began. Only there where the
/// C library is glibc.
uint64_t callocations_of_thread(void);

#endif
