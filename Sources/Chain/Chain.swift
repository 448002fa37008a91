// Chain: what an Ethereum block is made of, and which blocks are to be believed.
//
// Terms. A *header* is 15 to 23 fields; the hash of its encoding is the block's hash. A *body* is transactions, uncles
// and withdrawals, committed to by roots in the header. A *block access list* says what a block left behind (EIP-7928);
// without an EVM a block is applied by it. A *state point* is a block's number and hash, an *anchor* the state at an
// epoch's boundary. A *claim* is one key's signed word that a block is the head now, or is final for good; a
// *certificate* is the claims that travel with a header.
//
//     checkpoint ── final line (kept, anchors) ── F ─┬─ b ── b ── H      F: the final block, H: the attested head
//     (trusted)                                      │            ▲
//                                                    └─ b ── b    t of n claims on H or its descendants
//                                                        held, bounded, proves nothing
//
// Phases of `AttestedChain`. (1) Only the checkpoint's hash is known. (2) Runs of headers come, linked by parent hashes
// to what is held; they are kept above F in a tree of bounded size and prove nothing. (3) Certificates come with them:
// a key's claim counts for its block and, by the verified hashes, for all ancestors; t keys make a block attested, or
// final.
// (4) F moves up, what does not descend from it is dropped, boundary blocks passed become usable anchors.
//
// Invariants.
// - Every header in the tree descends from F by verified hashes; every header on the final line is attested final by t
//   keys, is the checkpoint, or was read back from the node's own store.
// - F never goes back. Two finals that t keys each attested and that are not on one line stop the chain with a named
//   error.
// - A run is taken whole or not at all; claims whose signature was not checked are neither stored nor passed on.
// - What is kept on disk is what the newest claims stand on, and what carries a claim that still matters: a chain made
//   of it has the same head and the same F, whatever branches there were.
// - A block costs the same however many are above F: votes are marked along the tree, and only what they changed is
//   looked at. There are at most `ChainLimits.heldHeaders` above F; then nothing goes on before F does.
// - A head claim moves with its key's later ones, so the head may leave a branch above F; a final claim never moves.
//
// Why a claim of the head block may carry final claims of ancestors: a signer makes both for every new block, so one
// push of one header brings everyone both, and a stored header never needs a second certificate later.
//
// So it is under the rule *attested head*. Under the two others (`ChainRule`, folder `Rules`) a header is judged as it
// comes, by what is with it and by its parent's *standing*, and only what holds enters the tree (`Judging`). *Proof of
// work*: the heaviest line is the head's, F is 6 blocks below it, and the tree's root, the *floor*, lies deeper still:
// down to there a heavier line may take back what was final, anchors included. *Committee*: every header is final, so
// the tree is empty. Lines of too little work never come here: `Presync` reads them first.
