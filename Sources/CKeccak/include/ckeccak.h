#ifndef CKECCAK_H
#define CKECCAK_H

#include <stddef.h>
#include <stdint.h>

/// Keccak-256 (the padding of Ethereum, 0x01, not SHA-3's 0x06) of `length` bytes at `input`; writes 32 bytes to `output`.
void ckeccak_256(const uint8_t *input, size_t length, uint8_t *output);

#endif
