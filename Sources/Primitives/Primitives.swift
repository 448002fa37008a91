// Primitives: the words every other floor is written in.
//
// Terms. A *hash*, a *node id* and a *key of the ring* are all 32 bytes, `Bytes32`, compared as big-endian numbers. An
// integer that may exceed 64 bits is a `UInt256`. RLP is the serialisation of Ethereum's execution side (records,
// headers, tries), SSZ that of its consensus side and of the Portal wire. Time is an `Instant`, randomness an
// `Entropy`: both are handed to the machines of the floors above, which therefore replay.
//
// Invariants. Decoding is strict: one value has one encoding, everything else is a typed error. Nothing here allocates
// in proportion to a number that was read before that many bytes were seen. Nothing here touches a clock, a socket, a
// disk or the system's random source.
