#include "ckeccak.h"

#include <stdatomic.h>

#include "kernels.h"
#include "round.h"

// Keccak-f[1600], scalar, and the choice among the kernels.
//
// Why C and not Swift: the wide kernels need registers of 256 and 512 bits and single instructions by name, chosen at
// run time function by function; Swift offers neither without giving the whole target to one kind of machine. The
// scalar code shares their round, and measured the same as unrolled Swift.

const uint64_t ckeccak_round_constants[24] = {
    0x0000000000000001ULL, 0x0000000000008082ULL, 0x800000000000808aULL, 0x8000000080008000ULL,
    0x000000000000808bULL, 0x0000000080000001ULL, 0x8000000080008081ULL, 0x8000000000008009ULL,
    0x000000000000008aULL, 0x0000000000000088ULL, 0x0000000080008009ULL, 0x000000008000000aULL,
    0x000000008000808bULL, 0x800000000000008bULL, 0x8000000000008089ULL, 0x8000000000008003ULL,
    0x8000000000008002ULL, 0x8000000000000080ULL, 0x000000000000800aULL, 0x800000008000000aULL,
    0x8000000080008081ULL, 0x8000000000008080ULL, 0x0000000080000001ULL, 0x8000000080008008ULL};

#define XOR(a, b) ((a) ^ (b))
#define ROTL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define PARITY(a, b, c, d, e) ((a) ^ (b) ^ (c) ^ (d) ^ (e))
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))
#define CONSTANT(word) (word)

static void permute(uint64_t s[25]) { KECCAK_PERMUTE(uint64_t, s) }

static inline void absorb(uint64_t state[25], const uint8_t *block) {
    for (int i = 0; i < RATE / 8; i++) {
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

// -1: not chosen yet. Threads that come at once choose the same.
static atomic_int chosen = -1;

int ckeccak_has(ckeccak_kernel kernel) {
    switch (kernel) {
        case ckeccak_scalar: return 1;
#if defined(__x86_64__)
        // These look at what the system saves of the registers too.
        case ckeccak_avx2: return __builtin_cpu_supports("avx2") != 0;
        case ckeccak_avx512: return __builtin_cpu_supports("avx512f") != 0;
#endif
        default: return 0;
    }
}

ckeccak_kernel ckeccak_current(void) {
    int kernel = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (kernel >= 0) return (ckeccak_kernel)kernel;
    kernel = ckeccak_has(ckeccak_avx512) ? ckeccak_avx512 : ckeccak_has(ckeccak_avx2) ? ckeccak_avx2 : ckeccak_scalar;
    atomic_store_explicit(&chosen, kernel, memory_order_relaxed);
    return (ckeccak_kernel)kernel;
}

int ckeccak_use(ckeccak_kernel kernel) {
    if (!ckeccak_has(kernel)) return 0;
    atomic_store_explicit(&chosen, (int)kernel, memory_order_relaxed);
    return 1;
}

void ckeccak_256_runs_with(
    ckeccak_kernel kernel, const uint8_t *buffer, const ckeccak_run *runs, size_t count, uint8_t *output) {
#if defined(__x86_64__)
    // One message alone is done soonest by the scalar code.
    if (count > 1 && kernel == ckeccak_avx512) return ckeccak_runs_avx512(buffer, runs, count, output);
    if (count > 1 && kernel == ckeccak_avx2) return ckeccak_runs_avx2(buffer, runs, count, output);
#endif
    for (size_t i = 0; i < count; i++)
        ckeccak_256(buffer + runs[i].offset, runs[i].length, output + runs[i].target);
}

void ckeccak_256_runs(const uint8_t *buffer, const ckeccak_run *runs, size_t count, uint8_t *output) {
    ckeccak_256_runs_with(ckeccak_current(), buffer, runs, count, output);
}
