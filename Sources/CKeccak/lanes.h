// What a kernel does around the permutation: messages of any length go through its lanes, and one that ends makes room
// for the next. For a kernel to include once it has defined
//
//   WIDTH       how many lanes
//   TARGET      the attribute that lets the compiler use their instructions
//   STATE       a word of every lane's state: 8 · WIDTH bytes
//   RUNS        the name of the function made here
//   absorb, permute, keep
//               add a block to every lane; permute all; clear those lanes whose bit is not set

TARGET void RUNS(const uint8_t *buffer, const ckeccak_run *runs, size_t count, uint8_t *output) {
    // A lane without a message works on zeros.
    static const uint8_t nothing[RATE];
    const unsigned all = (1u << WIDTH) - 1;
    uint8_t tails[WIDTH][RATE];
    ckeccak_lane lanes[WIDTH];
    unsigned active = 0;
    size_t next = 0;
    for (int i = 0; i < WIDTH; i++) {
        if (next < count) {
            ckeccak_lane_start(&lanes[i], tails[i], buffer, &runs[next++], output);
            active |= 1u << i;
        } else {
            lanes[i].block = nothing;
        }
    }
    STATE state[25];
    memset(state, 0, sizeof state);
    while (active) {
        absorb(state, lanes);
        permute(state);
        // Apart from the state, whose words may then stay in registers.
        uint64_t digests[4][WIDTH];
        memcpy(digests, state, sizeof digests);
        unsigned goes_on = 0;
        for (int i = 0; i < WIDTH; i++) {
            if (!(active >> i & 1)) continue;
            if (!lanes[i].is_last) {
                ckeccak_lane_advance(&lanes[i], tails[i]);
                goes_on |= 1u << i;
                continue;
            }
            for (int j = 0; j < 4; j++) memcpy(lanes[i].digest + 8 * j, &digests[j][i], 8);
            if (next < count) {
                ckeccak_lane_start(&lanes[i], tails[i], buffer, &runs[next++], output);
            } else {
                lanes[i].block = nothing;
                active &= ~(1u << i);
            }
        }
        if (goes_on != all) keep(state, goes_on);
    }
}
