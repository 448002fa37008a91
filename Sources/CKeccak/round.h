#ifndef CKECCAK_ROUND_H
#define CKECCAK_ROUND_H

// One round of Keccak-f[1600] and the whole permutation, for a lane of any width: one state (scalar) or several side by
// side. Whoever includes this first defines, for its LANE,
//
//   XOR(a, b)  ROTL(x, n) with 0 < n < 64  PARITY(a, b, c, d, e) = a ^ b ^ c ^ d ^ e  CHI(a, b, c) = a ^ (~b & c)
//   CONSTANT(word) the word in every state
//
// The 25 lanes live in locals, so the compiler keeps them in registers or at fixed places of the stack; a round is
// written out and two rounds alternate between the sets a and e, so nothing is copied back. A rolled loop over an array
// costs four times as much.

// From the lanes A to the lanes E: column parities (c, d), then row by row the rotated and moved lanes (b) and the
// nonlinear step. Lane c + 5r of E is made of lanes of A on a diagonal; once a row is done, the five lanes of A that it
// used are dead, so that 25 lanes, 5 of d and 2 more are alive at a time: 32, the registers of AVX-512.
#define KECCAK_ROUND(A, E, RC)                       \
    c0 = PARITY(A##0, A##5, A##10, A##15, A##20);    \
    c1 = PARITY(A##1, A##6, A##11, A##16, A##21);    \
    c2 = PARITY(A##2, A##7, A##12, A##17, A##22);    \
    c3 = PARITY(A##3, A##8, A##13, A##18, A##23);    \
    c4 = PARITY(A##4, A##9, A##14, A##19, A##24);    \
    d0 = XOR(c4, ROTL(c1, 1));                       \
    d1 = XOR(c0, ROTL(c2, 1));                       \
    d2 = XOR(c1, ROTL(c3, 1));                       \
    d3 = XOR(c2, ROTL(c4, 1));                       \
    d4 = XOR(c3, ROTL(c0, 1));                       \
    b0 = XOR(A##0, d0);                              \
    b1 = ROTL(XOR(A##6, d1), 44);                    \
    b2 = ROTL(XOR(A##12, d2), 43);                   \
    b3 = ROTL(XOR(A##18, d3), 21);                   \
    b4 = ROTL(XOR(A##24, d4), 14);                   \
    E##0 = XOR(CHI(b0, b1, b2), CONSTANT(RC));       \
    E##1 = CHI(b1, b2, b3);                          \
    E##2 = CHI(b2, b3, b4);                          \
    E##3 = CHI(b3, b4, b0);                          \
    E##4 = CHI(b4, b0, b1);                          \
    b0 = ROTL(XOR(A##3, d3), 28);                    \
    b1 = ROTL(XOR(A##9, d4), 20);                    \
    b2 = ROTL(XOR(A##10, d0), 3);                    \
    b3 = ROTL(XOR(A##16, d1), 45);                   \
    b4 = ROTL(XOR(A##22, d2), 61);                   \
    E##5 = CHI(b0, b1, b2);                          \
    E##6 = CHI(b1, b2, b3);                          \
    E##7 = CHI(b2, b3, b4);                          \
    E##8 = CHI(b3, b4, b0);                          \
    E##9 = CHI(b4, b0, b1);                          \
    b0 = ROTL(XOR(A##1, d1), 1);                     \
    b1 = ROTL(XOR(A##7, d2), 6);                     \
    b2 = ROTL(XOR(A##13, d3), 25);                   \
    b3 = ROTL(XOR(A##19, d4), 8);                    \
    b4 = ROTL(XOR(A##20, d0), 18);                   \
    E##10 = CHI(b0, b1, b2);                         \
    E##11 = CHI(b1, b2, b3);                         \
    E##12 = CHI(b2, b3, b4);                         \
    E##13 = CHI(b3, b4, b0);                         \
    E##14 = CHI(b4, b0, b1);                         \
    b0 = ROTL(XOR(A##4, d4), 27);                    \
    b1 = ROTL(XOR(A##5, d0), 36);                    \
    b2 = ROTL(XOR(A##11, d1), 10);                   \
    b3 = ROTL(XOR(A##17, d2), 15);                   \
    b4 = ROTL(XOR(A##23, d3), 56);                   \
    E##15 = CHI(b0, b1, b2);                         \
    E##16 = CHI(b1, b2, b3);                         \
    E##17 = CHI(b2, b3, b4);                         \
    E##18 = CHI(b3, b4, b0);                         \
    E##19 = CHI(b4, b0, b1);                         \
    b0 = ROTL(XOR(A##2, d2), 62);                    \
    b1 = ROTL(XOR(A##8, d3), 55);                    \
    b2 = ROTL(XOR(A##14, d4), 39);                   \
    b3 = ROTL(XOR(A##15, d0), 41);                   \
    b4 = ROTL(XOR(A##21, d1), 2);                    \
    E##20 = CHI(b0, b1, b2);                         \
    E##21 = CHI(b1, b2, b3);                         \
    E##22 = CHI(b2, b3, b4);                         \
    E##23 = CHI(b3, b4, b0);                         \
    E##24 = CHI(b4, b0, b1);

// All 24 rounds on the 25 lanes at S, in place.
#define KECCAK_PERMUTE(LANE, S)                                                                                  \
    LANE a0 = S[0], a1 = S[1], a2 = S[2], a3 = S[3], a4 = S[4], a5 = S[5], a6 = S[6], a7 = S[7], a8 = S[8],      \
         a9 = S[9], a10 = S[10], a11 = S[11], a12 = S[12], a13 = S[13], a14 = S[14], a15 = S[15], a16 = S[16],   \
         a17 = S[17], a18 = S[18], a19 = S[19], a20 = S[20], a21 = S[21], a22 = S[22], a23 = S[23], a24 = S[24]; \
    LANE e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e18, e19, e20, e21,     \
        e22, e23, e24;                                                                                           \
    LANE b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4;                                             \
    for (int round = 0; round < 24; round += 2) {                                                                \
        KECCAK_ROUND(a, e, ckeccak_round_constants[round])                                                       \
        KECCAK_ROUND(e, a, ckeccak_round_constants[round + 1])                                                   \
    }                                                                                                            \
    S[0] = a0, S[1] = a1, S[2] = a2, S[3] = a3, S[4] = a4;                                                       \
    S[5] = a5, S[6] = a6, S[7] = a7, S[8] = a8, S[9] = a9;                                                       \
    S[10] = a10, S[11] = a11, S[12] = a12, S[13] = a13, S[14] = a14;                                             \
    S[15] = a15, S[16] = a16, S[17] = a17, S[18] = a18, S[19] = a19;                                             \
    S[20] = a20, S[21] = a21, S[22] = a22, S[23] = a23, S[24] = a24;

#endif
