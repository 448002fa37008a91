// MerklePatricia: the tries of the state, and what can be proven of them.
//
// Terms. A *path* is the nibbles from the root to a node (`Nibbles`). A *leaf* is a key of 64 nibbles and a value, the
// bytes as they stand in the trie. A *branch record* is the RLP of a branch node, kept under its full path. A *subtree*
// is everything under some prefix, told without its position (`Subtree`). A *section* is one of the 16^d subtrees at
// depth d, its hash the root of its leaves with d nibbles stripped. The *crown* is every node above depth d.
//
//              root ─┐                                      TrieBuilder   leaves ──▶ Subtree, branch records
//        ┌─ crown ───┴──────────┐  path shorter than d      TrieUpdate    Subtree, changes ──▶ Subtree, changed records
//     section  section … section   depth d                  RangeVerifier root, proof, leaves ──▶ branch records
//      │  branch records  │        path of d or longer      TrieProver    records, crown ──▶ proof
//      leaves …            leaves  64 nibbles               SectionProof, Crown   root, nodes ──▶ section hashes
//
// What is stored. Leaves and branch records, nothing else. A leaf node or an extension depends on where its parent
// branches; as it follows from the paths, keeping it would only be one more thing to move when a neighbour comes or
// goes. Embedded branches (under 32 bytes) have records like all others, so no change has to ask what kind one is.
//
// Building runs in batches: a pass over the keys finds the shape, then the nodes of one height after the other are
// written into one arena and hashed by one call (`NodeForge`). No object stands for a node.
//
// Proofs are read from the top. The root is trusted; a node is found only by the hash that a trusted node names, and a
// subtree wholly inside a range is built from the leaves and compared with the trusted reference to it. The other way
// round, to put the proof's nodes into a tree and to erase its inside, has needed a case for every forgery at a range's
// edges; here there are no such cases. A section's hash likewise comes from cutting a path proof at depth d.
//
// Invariants. Keys have 32 bytes, so no branch has a value; only `ReferenceTrie`, the oracle, knows other keys. What a
// correct trie would not have written (a branch of one child, an extension of a leaf, a short node named by hash) is an
// error even under a matching hash. Leaves strictly ascend. Results that list paths are in their order.
