#ifndef CKECCAK_KERNELS_H
#define CKECCAK_KERNELS_H

#include <string.h>

#include "ckeccak.h"

// Bytes of a message that one permutation takes in: 1600 bits less twice the 256 of security.
#define RATE 136

extern const uint64_t ckeccak_round_constants[24];

// Hash all runs, four or eight at a time. Only on a machine that has what they need.
void ckeccak_runs_avx2(const uint8_t *buffer, const ckeccak_run *runs, size_t count, uint8_t *output);
void ckeccak_runs_avx512(const uint8_t *buffer, const ckeccak_run *runs, size_t count, uint8_t *output);

// One of the messages that are hashed side by side: where its next block is, and what is left from there on.
typedef struct {
    const uint8_t *block;
    size_t left;
    uint8_t *digest;
    // Whether `block` is the last: the padded one.
    int is_last;
} ckeccak_lane;

// The last block of a message, `left` bytes and the padding, made at `tail`.
static inline void ckeccak_lane_finish(ckeccak_lane *lane, uint8_t *tail) {
    memset(tail, 0, RATE);
    memcpy(tail, lane->block, lane->left);
    tail[lane->left] = 0x01;
    tail[RATE - 1] |= 0x80;
    lane->block = tail;
    lane->is_last = 1;
}

static inline void ckeccak_lane_start(
    ckeccak_lane *lane, uint8_t *tail, const uint8_t *buffer, const ckeccak_run *run, uint8_t *output) {
    lane->block = buffer + run->offset;
    lane->left = run->length;
    lane->digest = output + run->target;
    lane->is_last = 0;
    if (lane->left < RATE) ckeccak_lane_finish(lane, tail);
}

static inline void ckeccak_lane_advance(ckeccak_lane *lane, uint8_t *tail) {
    lane->block += RATE;
    lane->left -= RATE;
    if (lane->left < RATE) ckeccak_lane_finish(lane, tail);
}

#endif
