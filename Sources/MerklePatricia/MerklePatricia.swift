// The Merkle Patricia trie of Ethereum's state: built from leaves, changed in place, proven in parts.
//
// Terms
//
//   key       32 bytes: keccak256 of an address or of a slot. All keys of a trie have the same length, so none is a
//             prefix of another and a branch never has a value.
//   path      0…64 nibbles from the root (`Nibbles`). Every node has one: its place.
//   node      leaf (rest of the key, value), extension (shared nibbles, one branch below) or branch (16 children).
//   reference how a parent names a child: keccak256 of its RLP, or the RLP itself where that has fewer than 32 bytes
//             (an embedded node). The root alone is always named by its hash.
//   subtree   everything under a prefix, without its position: nothing, one leaf, or the shallowest branch with its
//             full path. Whoever stands above derives from it the leaf or extension node that it needs (`Subtree`).
//   section   one of the 16^d subtrees under the paths of d nibbles. A node of the network holds some of them.
//   section   the root of a section's leaves with their first d nibbles stripped. Two holders of a section can compare
//     hash    it whatever the rest of the trie is.
//   crown     all nodes whose path is shorter than d: what joins the section hashes to the root (`Crown`).
//
// Picture, d = 1
//
//                        ┌─────────────── root branch ───────────────┐            crown: paths shorter than d
//                        0             3                  a          f
//   ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─│─ ─ ─ ─ ─ ─ ─│─ ─ ─ ─ ─ ─ ─ ─ ─ │─ ─ ─ ─ ─ │─ ─ ─ ─   depth d: a section below each nibble
//                      branch 0    ext 3·07…              leaf     branch f
//                      /  |  \         │                           /   |   \
//                                 branch 307…
//
// The extension at 3 and the leaf at a reach across the line. Where one begins above it, at the root say, it is part of
// the crown, and the section that it leads into sees the same branch or leaf behind fewer nibbles.
//
// What is stored
//
// Leaves by key and branches by path, no other node. A leaf node follows from the key and the place of its parent, an
// extension from the paths of two branches. Nor are the branches stored of a part with at most 32 leaves: such a part
// is a *twig*, read as leaves and built when something in it is proven or changed. A store therefore needs one
// ordered table a kind and answers two questions (`TrieSource`): the first branch at or below a path, the leaves under
// it. Reading a proof is a walk of these; copying a run of either table is copying a part of the trie.
//
// Phases
//
//   build   sorted leaves in columns → root, and the branch records in the order of their paths (`TrieBuilder`). A pass
//           over the keys finds all branches and their heights and hashes the leaves on its way; then one height after
//           the other is written where the records are to be and hashed in one call (`NodeBatch`).
//   verify  leaves of a key range, and the nodes across its ends → every branch in the range, ready to be stored, and
//           whether more follows (`RangeVerifier`). From the trusted root down: inside the range the leaves must build
//           what the parent names, outside nothing is looked at, across an end the node must be given. All
//           parts inside are hashed together.
//   change  sorted changes → the new subtree and exactly the records that differ (`TrieUpdate`). Only paths of changed
//           leaves are read. A branch that changes is the old one with pieces replaced, a twig is built anew, and all
//           are hashed at the end, height by height. On demand each record read is held against the branch that names
//           it (`RecordCheck`): that is for the day on which a result does not fit, to know who is wrong.
//   prove   a key → the nodes on its path (`TrieProver`); a section → those above it (`Crown`, `SectionProof`).
//   join    subtrees of sections → root and crown, without their leaves.
//
// Invariants
//
//   · One set of leaves has one trie: change and build give the same bytes, and so do whole and joined. Of its branches
//     those with more leaves than a twig are stored; others may be, left over from more leaves or from the end of a
//     range, and are true as well. Above a stored branch every branch is stored.
//   · The order in which records and nodes come out is the order of paths, in every process: nothing depends on hashing
//     of a dictionary.
//   · A node from the network is used only after a reference already trusted named it by hash; then it is read
//     strictly. So a proof can say too little or too much, which is an error, but nothing false.
//   · Lengths and positions in a node are checked against the room its path leaves: a well linked node at an impossible
//     place is an error, never a trap.
//   · Absence is absence: an empty value is no value, in leaves, changes and nodes.
//
// Why not otherwise
//
//   · Why no object a node: a class a node builds 0.56 M leaves/s on the machine the design was measured on, an arena
//     with nodes of one height hashed eight at a time 8.0 M.
//   · Why records by path and not by hash: a table by hash is written all over at every change, must count references
//     to know what may go, and a range of it means nothing. By path an update overwrites, a section is one run.
//   · Why twigs: the lowest branches are nearly all there are. With a million accounts, twigs of 32 leave 4,369
//     records of 346,000; the store has 61 MB instead of 113 and takes in 1.6 times as many verified leaves a second;
//     2,000 changes write half as many pages, in half of the time. Building a twig costs no more than reading its
//     records did, a proof of both edges two microseconds. Twigs of 16 were slower: too many of the branches that
//     every change has to write are stored again.
//   · Why the branch's whole RLP as the record and not its children's hashes alone: it is what a proof sends and what
//     a parent hashes. 532 bytes at most.
//   · Why the verifier is no rebuilt trie with both edges inserted and the inner children cleared, as clients do it:
//     that decides what lies inside by the shape of the nodes received, so every shape at the edges is a case of its
//     own. Here a child reference is inside, outside or across by its path alone, and each is treated by one rule.
//   · Why the section hash is cut at d nibbles and not the hash of whatever node stands nearest: a section must have a
//     hash that depends on its own leaves only, else a neighbour's first leaf would change it.
