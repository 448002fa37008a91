#ifndef CKECCAK_H
#define CKECCAK_H

#include <stddef.h>
#include <stdint.h>

/// Keccak-256 (the padding of Ethereum, 0x01, not SHA-3's 0x06) of `length` bytes at `input`; writes 32 bytes to
/// `output`.
void ckeccak_256(const uint8_t *input, size_t length, uint8_t *output);

/// A run of bytes in a buffer, and where in the output its digest belongs (an offset in bytes; no alignment needed).
typedef struct {
    size_t offset;
    uint32_t length;
    uint32_t target;
} ckeccak_run;

/// The ways to hash a batch. Each gives the same digests.
typedef enum {
    /// One message after the other.
    ckeccak_scalar = 0,
    /// Four at a time.
    ckeccak_avx2 = 1,
    /// Eight at a time.
    ckeccak_avx512 = 2,
} ckeccak_kernel;

/// Whether this machine can run a kernel.
int ckeccak_has(ckeccak_kernel kernel);

/// The kernel in use: the widest the machine has, unless `ckeccak_use` said otherwise.
ckeccak_kernel ckeccak_current(void);

/// Lets the whole process use a kernel from now on; 0 where the machine cannot run it. For measurements.
int ckeccak_use(ckeccak_kernel kernel);

/// Keccak-256 of `count` runs of bytes of one buffer with the kernel in use; the digest of each is written at its
/// target in `output`. Runs of different lengths may be mixed: whichever of the messages worked on ends, the next takes
/// its place.
void ckeccak_256_runs(const uint8_t *buffer, const ckeccak_run *runs, size_t count, uint8_t *output);

/// The same with a kernel that the machine has.
void ckeccak_256_runs_with(
    ckeccak_kernel kernel, const uint8_t *buffer, const ckeccak_run *runs, size_t count, uint8_t *output);

#endif
