#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "round.h"

// Four states side by side: word i of all of them is one 256-bit register. There are sixteen registers, so part of the
// state lies on the stack; rotations are made of two shifts, those by whole bytes of one shuffle.

#define WIDTH 4
#define TARGET __attribute__((target("avx2")))

#define XOR(a, b) _mm256_xor_si256(a, b)
#define PARITY(a, b, c, d, e) XOR(XOR(XOR(a, b), XOR(c, d)), e)
#define CHI(a, b, c) XOR(a, _mm256_andnot_si256(b, c))
#define CONSTANT(word) _mm256_set1_epi64x((long long)(word))
#define ROTL(x, n)                                             \
    ((n) == 8    ? _mm256_shuffle_epi8(x, left8)               \
     : (n) == 56 ? _mm256_shuffle_epi8(x, left56)              \
                 : _mm256_or_si256(_mm256_slli_epi64(x, (n)), _mm256_srli_epi64(x, 64 - (n))))

// Adds four words of four blocks to four lanes of the state.
TARGET static inline void absorb4(__m256i *state, const ckeccak_lane *lanes, size_t offset) {
    __m256i r[4];
    for (int i = 0; i < 4; i++) r[i] = _mm256_loadu_si256((const __m256i *)(lanes[i].block + offset));
    for (int h = 0; h < 2; h++) {
        __m256i first = h == 0 ? _mm256_unpacklo_epi64(r[0], r[1]) : _mm256_unpackhi_epi64(r[0], r[1]);
        __m256i second = h == 0 ? _mm256_unpacklo_epi64(r[2], r[3]) : _mm256_unpackhi_epi64(r[2], r[3]);
        state[h] = XOR(state[h], _mm256_permute2x128_si256(first, second, 0x20));
        state[2 + h] = XOR(state[2 + h], _mm256_permute2x128_si256(first, second, 0x31));
    }
}

TARGET static inline long long word(const ckeccak_lane *lane, size_t offset) {
    long long value;
    memcpy(&value, lane->block + offset, 8);
    return value;
}

TARGET static inline void absorb(__m256i *state, const ckeccak_lane *lanes) {
    for (size_t i = 0; i < 4; i++) absorb4(state + 4 * i, lanes, 32 * i);
    __m256i last = _mm256_set_epi64x(
        word(&lanes[3], 128), word(&lanes[2], 128), word(&lanes[1], 128), word(&lanes[0], 128));
    state[16] = XOR(state[16], last);
}

TARGET static inline void permute(__m256i *state) {
    const __m256i left8 = _mm256_set_epi64x(
        0x0e0d0c0b0a09080f, 0x0605040302010007, 0x0e0d0c0b0a09080f, 0x0605040302010007);
    const __m256i left56 = _mm256_set_epi64x(
        0x080f0e0d0c0b0a09, 0x0007060504030201, 0x080f0e0d0c0b0a09, 0x0007060504030201);
    KECCAK_PERMUTE(__m256i, state)
}

// Clears the lanes whose bit is not set.
TARGET static inline void keep(__m256i *state, unsigned mask) {
    const __m256i bits = _mm256_set_epi64x(8, 4, 2, 1);
    __m256i kept = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(mask), bits), bits);
    for (int i = 0; i < 25; i++) state[i] = _mm256_and_si256(state[i], kept);
}

#define STATE __m256i
#define RUNS ckeccak_runs_avx2
#include "lanes.h"

#endif
