#ifndef CKECCAK_H
#define CKECCAK_H

#include <stddef.h>
#include <stdint.h>

/// Keccak-256 (the padding of Ethereum, 0x01, not SHA-3's 0x06) of `length` bytes at `input`; writes 32 bytes to
/// `output`.
void ckeccak_256(const uint8_t *input, size_t length, uint8_t *output);

/// A run of bytes in a buffer.
typedef struct {
    size_t offset;
    size_t length;
} ckeccak_range;

/// Keccak-256 of `count` runs of bytes of one buffer; writes 32 × count bytes to `output`, in the order of the runs.
void ckeccak_256_ranges(const uint8_t *buffer, const ckeccak_range *ranges, size_t count, uint8_t *output);

#endif
