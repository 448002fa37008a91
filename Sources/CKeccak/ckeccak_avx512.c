#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "round.h"

// Eight states side by side: word i of all of them is one 512-bit register. Rotation is one instruction (vprolq), and
// so is every function of three lanes (vpternlogq): 0x96 is a ^ b ^ c, 0xd2 is a ^ (~b & c).

#define WIDTH 8
#define TARGET __attribute__((target("avx512f")))

#define XOR(a, b) _mm512_xor_si512(a, b)
#define ROTL(x, n) _mm512_rol_epi64(x, n)
#define XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define PARITY(a, b, c, d, e) XOR3(XOR3(a, b, c), d, e)
#define CHI(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xd2)
#define CONSTANT(word) _mm512_set1_epi64((long long)(word))

// Adds eight words of eight blocks to eight lanes of the state: rows of a block become columns by three exchanges.
TARGET static inline void absorb8(__m512i *state, const ckeccak_lane *lanes, size_t offset) {
    __m512i r[8], t[8];
    for (int i = 0; i < 8; i++) r[i] = _mm512_loadu_si512(lanes[i].block + offset);
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]);
    }
    // t[2i + h]: in each of four parts of 128 bits, word h of that part of the blocks 2i and 2i + 1.
    for (int h = 0; h < 2; h++) {
        __m512i low = _mm512_shuffle_i64x2(t[h], t[2 + h], 0x88), high = _mm512_shuffle_i64x2(t[h], t[2 + h], 0xdd);
        __m512i low2 = _mm512_shuffle_i64x2(t[4 + h], t[6 + h], 0x88);
        __m512i high2 = _mm512_shuffle_i64x2(t[4 + h], t[6 + h], 0xdd);
        state[h] = XOR(state[h], _mm512_shuffle_i64x2(low, low2, 0x88));
        state[4 + h] = XOR(state[4 + h], _mm512_shuffle_i64x2(low, low2, 0xdd));
        state[2 + h] = XOR(state[2 + h], _mm512_shuffle_i64x2(high, high2, 0x88));
        state[6 + h] = XOR(state[6 + h], _mm512_shuffle_i64x2(high, high2, 0xdd));
    }
}

TARGET static inline long long word(const ckeccak_lane *lane, size_t offset) {
    long long value;
    memcpy(&value, lane->block + offset, 8);
    return value;
}

TARGET static inline void absorb(__m512i *state, const ckeccak_lane *lanes) {
    absorb8(state, lanes, 0);
    absorb8(state + 8, lanes, 64);
    __m512i last = _mm512_set_epi64(
        word(&lanes[7], 128), word(&lanes[6], 128), word(&lanes[5], 128), word(&lanes[4], 128), word(&lanes[3], 128),
        word(&lanes[2], 128), word(&lanes[1], 128), word(&lanes[0], 128));
    state[16] = XOR(state[16], last);
}

TARGET static inline void permute(__m512i *state) { KECCAK_PERMUTE(__m512i, state) }

// Clears the lanes whose bit is not set.
TARGET static inline void keep(__m512i *state, unsigned mask) {
    for (int i = 0; i < 25; i++) state[i] = _mm512_maskz_mov_epi64((__mmask8)mask, state[i]);
}

#define STATE __m512i
#define RUNS ckeccak_runs_avx512
#include "lanes.h"

#endif
