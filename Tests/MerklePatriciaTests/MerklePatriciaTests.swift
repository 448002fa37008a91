import Testing

@Suite struct MerklePatriciaTests {}
