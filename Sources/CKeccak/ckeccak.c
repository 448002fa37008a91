#include "ckeccak.h"

#include <string.h>

// Keccak-f[1600], scalar. The 25 lanes live in locals, so the compiler keeps them in registers or at fixed places of
// the stack; each round is written out and two rounds alternate between the sets a and e, so nothing is copied back. A
// rolled loop over an array costs four times as much.

#define RATE 136
#define RATE_WORDS (RATE / 8)

static const uint64_t round_constants[24] = {
    0x0000000000000001ULL, 0x0000000000008082ULL, 0x800000000000808aULL, 0x8000000080008000ULL,
    0x000000000000808bULL, 0x0000000080000001ULL, 0x8000000080008081ULL, 0x8000000000008009ULL,
    0x000000000000008aULL, 0x0000000000000088ULL, 0x0000000080008009ULL, 0x000000008000000aULL,
    0x000000008000808bULL, 0x800000000000008bULL, 0x8000000000008089ULL, 0x8000000000008003ULL,
    0x8000000000008002ULL, 0x8000000000000080ULL, 0x000000000000800aULL, 0x800000008000000aULL,
    0x8000000080008081ULL, 0x8000000000008080ULL, 0x0000000080000001ULL, 0x8000000080008008ULL};

#define ROTL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

// One round from the lanes A to the lanes E: column parities (c, d), then row by row the rotated and moved lanes (b)
// and the nonlinear step. Lane x + 5y of the row r and column c comes from x = 3r + c mod 5, y = c.
#define ROUND(A, E, RC)                       \
    c0 = A##0 ^ A##5 ^ A##10 ^ A##15 ^ A##20; \
    c1 = A##1 ^ A##6 ^ A##11 ^ A##16 ^ A##21; \
    c2 = A##2 ^ A##7 ^ A##12 ^ A##17 ^ A##22; \
    c3 = A##3 ^ A##8 ^ A##13 ^ A##18 ^ A##23; \
    c4 = A##4 ^ A##9 ^ A##14 ^ A##19 ^ A##24; \
    d0 = c4 ^ ROTL(c1, 1);                    \
    d1 = c0 ^ ROTL(c2, 1);                    \
    d2 = c1 ^ ROTL(c3, 1);                    \
    d3 = c2 ^ ROTL(c4, 1);                    \
    d4 = c3 ^ ROTL(c0, 1);                    \
    b0 = A##0 ^ d0;                           \
    b1 = ROTL(A##6 ^ d1, 44);                 \
    b2 = ROTL(A##12 ^ d2, 43);                \
    b3 = ROTL(A##18 ^ d3, 21);                \
    b4 = ROTL(A##24 ^ d4, 14);                \
    E##0 = b0 ^ (~b1 & b2) ^ (RC);            \
    E##1 = b1 ^ (~b2 & b3);                   \
    E##2 = b2 ^ (~b3 & b4);                   \
    E##3 = b3 ^ (~b4 & b0);                   \
    E##4 = b4 ^ (~b0 & b1);                   \
    b0 = ROTL(A##3 ^ d3, 28);                 \
    b1 = ROTL(A##9 ^ d4, 20);                 \
    b2 = ROTL(A##10 ^ d0, 3);                 \
    b3 = ROTL(A##16 ^ d1, 45);                \
    b4 = ROTL(A##22 ^ d2, 61);                \
    E##5 = b0 ^ (~b1 & b2);                   \
    E##6 = b1 ^ (~b2 & b3);                   \
    E##7 = b2 ^ (~b3 & b4);                   \
    E##8 = b3 ^ (~b4 & b0);                   \
    E##9 = b4 ^ (~b0 & b1);                   \
    b0 = ROTL(A##1 ^ d1, 1);                  \
    b1 = ROTL(A##7 ^ d2, 6);                  \
    b2 = ROTL(A##13 ^ d3, 25);                \
    b3 = ROTL(A##19 ^ d4, 8);                 \
    b4 = ROTL(A##20 ^ d0, 18);                \
    E##10 = b0 ^ (~b1 & b2);                  \
    E##11 = b1 ^ (~b2 & b3);                  \
    E##12 = b2 ^ (~b3 & b4);                  \
    E##13 = b3 ^ (~b4 & b0);                  \
    E##14 = b4 ^ (~b0 & b1);                  \
    b0 = ROTL(A##4 ^ d4, 27);                 \
    b1 = ROTL(A##5 ^ d0, 36);                 \
    b2 = ROTL(A##11 ^ d1, 10);                \
    b3 = ROTL(A##17 ^ d2, 15);                \
    b4 = ROTL(A##23 ^ d3, 56);                \
    E##15 = b0 ^ (~b1 & b2);                  \
    E##16 = b1 ^ (~b2 & b3);                  \
    E##17 = b2 ^ (~b3 & b4);                  \
    E##18 = b3 ^ (~b4 & b0);                  \
    E##19 = b4 ^ (~b0 & b1);                  \
    b0 = ROTL(A##2 ^ d2, 62);                 \
    b1 = ROTL(A##8 ^ d3, 55);                 \
    b2 = ROTL(A##14 ^ d4, 39);                \
    b3 = ROTL(A##15 ^ d0, 41);                \
    b4 = ROTL(A##21 ^ d1, 2);                 \
    E##20 = b0 ^ (~b1 & b2);                  \
    E##21 = b1 ^ (~b2 & b3);                  \
    E##22 = b2 ^ (~b3 & b4);                  \
    E##23 = b3 ^ (~b4 & b0);                  \
    E##24 = b4 ^ (~b0 & b1);

static void permute(uint64_t s[25]) {
    uint64_t a0 = s[0], a1 = s[1], a2 = s[2], a3 = s[3], a4 = s[4], a5 = s[5], a6 = s[6], a7 = s[7], a8 = s[8],
        a9 = s[9], a10 = s[10], a11 = s[11], a12 = s[12], a13 = s[13], a14 = s[14], a15 = s[15], a16 = s[16],
        a17 = s[17], a18 = s[18], a19 = s[19], a20 = s[20], a21 = s[21], a22 = s[22], a23 = s[23], a24 = s[24];
    uint64_t e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e18, e19, e20, e21,
        e22, e23, e24;
    uint64_t b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4;
    for (int round = 0; round < 24; round += 2) {
        ROUND(a, e, round_constants[round])
        ROUND(e, a, round_constants[round + 1])
    }
    s[0] = a0; s[1] = a1; s[2] = a2; s[3] = a3; s[4] = a4;
    s[5] = a5; s[6] = a6; s[7] = a7; s[8] = a8; s[9] = a9;
    s[10] = a10; s[11] = a11; s[12] = a12; s[13] = a13; s[14] = a14;
    s[15] = a15; s[16] = a16; s[17] = a17; s[18] = a18; s[19] = a19;
    s[20] = a20; s[21] = a21; s[22] = a22; s[23] = a23; s[24] = a24;
}

static inline void absorb(uint64_t state[25], const uint8_t *block) {
    for (int i = 0; i < RATE_WORDS; i++) {
        uint64_t word;
        memcpy(&word, block + 8 * i, 8);
        state[i] ^= word;
    }
    permute(state);
}

void ckeccak_256(const uint8_t *input, size_t length, uint8_t *output) {
    uint64_t state[25] = {0};
    while (length >= RATE) {
        absorb(state, input);
        input += RATE;
        length -= RATE;
    }
    uint8_t block[RATE] = {0};
    if (length > 0) memcpy(block, input, length);
    block[length] = 0x01;
    block[RATE - 1] |= 0x80;
    absorb(state, block);
    memcpy(output, state, 32);
}

void ckeccak_256_ranges(const uint8_t *buffer, const ckeccak_range *ranges, size_t count, uint8_t *output) {
    for (size_t i = 0; i < count; i++)
        ckeccak_256(buffer + ranges[i].offset, ranges[i].length, output + 32 * i);
}
