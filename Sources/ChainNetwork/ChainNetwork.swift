// ChainNetwork: the sub-network "block by block" (0x4342): headers asked for, new blocks pushed, heights claimed.
//
// Terms. A *claim* of a peer is its ping payload (type 10102): what it serves, what it calls attested. The *walk* is
// asking for headers upward. The *frontier* is the next header to take in. A *batch* is up to 100 headers of one
// request. *Vouched for* is a header under a checked claim of some key; *attested* one under enough of them (see
// `Chain`).
//
//     pings ──▶ claims ──▶ plan ──▶ requests (0x50) ──▶ answers ──▶ AttestedChain ──▶ persist, head, final, anchors
//                           ▲                                            ▲
//                           └──── gap or another line ──── new blocks (0x52), pushed on to peers that are behind
//
// Phases. (1) *Parallel*: batches from the head upward, from several peers at once; they are taken in in order. Who
// fails rests, and another peer is asked. (2) *Single*: when a batch does not join, or all of a line was delivered and
// nobody vouches for it, one peer is asked for its whole line from the final block upward. Either the line comes with
// the certificates its claims promised, and the head moves to it (a reorganisation), or the peer rests long. (3)
// *Following*: nothing is claimed above the head; new blocks come pushed.
//
// Invariants.
// - Claims choose whom to ask. Nothing is believed, kept on disk, served or pushed but what `AttestedChain` vouches
//   for.
// - Every request is answered, times out or dies with its peer; a batch of a request that came to nothing is wanted
//   again. At most `window` batches are under way, so out-of-order answers are bounded.
// - A false line costs its sender a long pause and us at most one walk above the final block: honest peers are asked
//   from the attested head on, never from the false tip.
// - A block is pushed on only with a key's word that was new here, so pushes end.
// - The same seed and events give the same directives.
//
// Blocks (0x51) are asked for by a machine beside this one, `BlockSync`, and served from the store by `ServeBlocks`.
//
// Why batches go upward from the checkpoint instead of down from the tip: an upward run is checked against what is
// already attested as it comes, needs no memory but the part without certificates, and leaves what can be served at
// once.
