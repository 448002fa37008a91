// StateNetwork: the sub-network of the state, as one machine (`StateSync`).
//
// Picture.
//
//      the wire and the world              StateSync                              its parts
//
//      asked ───────────────────────▶ reply ──────────────────────────────▶ StateServer
//      offered, received ───────────▶ accept, queue, check, pass on ──────▶ PendingDiffs, DiffGossip
//      peer updated, looked up ─────▶ who has what ───────────────────────▶ HolderDirectory
//      head and final advanced ─────▶ rewind, fold, compare, tell ────────▶ HeadWatch, Completion, Announcer
//      block (a bridge) ────────────▶ apply, sign ────────────────────────▶ BlockReplayer
//      time ────────────────────────▶ what to ask whom ───────────────────▶ WalkPlanner
//                                          │
//             asked ─▶ checking ─▶ writing │ one entry each: OperationTable
//                                          ▼
//        what is held: Holdings = SectionBook + Crowns + SpreadTries + WantedCodes + HeadVerifier
//
// Terms. A *value* is a status byte and, after status 0, the content. A *crown* is every trie node above the sections
// at one anchor. A section's *base* is its state at its *working* anchor; a *layer* is what one later block changed; a
// *fold* makes the layers up to an anchor part of the base. The *book of sections* has one record for each section of
// the arc. The *node pool* has the trie nodes above the sections that were seen in crowns and proofs, and so proves
// most section hashes at most blocks by itself. An *operation* is one thing under way, from its first moment to its
// last: what was asked of a peer, a block diff that is checked, a fold.
//
// Phases of a section: nothing, *partial* (a cursor says how far; a diff and the next range lead it to another anchor
// where nobody serves its own), *complete* at an anchor and from then on carried on: by layers from block to block, by
// folds from anchor to anchor, by `0x41` where blocks were missed, and by comparing subtree hashes (`0x46`) where no
// history leads on. Phases of an operation: asked, checking,
// writing; it may begin at any of them, and it has one end, in which everything it held is given back.
//
// Invariants. Codecs and checks are pure functions; jobs (`StateJob`) read one snapshot and return the transaction,
// never write. Nothing is stored or passed on that a job did not prove under an attested state root. The store is the
// truth: the book changes after the transaction that says the same; layers that memory drops are dropped from the store
// in that transaction or the next, and at a start layers that do not follow from each other are left out. Every section
// has at most one operation that changes it (its lock). The attested chain and the peer book are lent, never kept. All
// that peers can make grow is bounded in number and in bytes (`StateNetworkLimits`).
//
// Why layers and not a copy per block: a block touches few leaves of a section, and a reorganisation then costs what it
// undoes. Why a verified head besides: a diff that never came leaves no trace by itself; only comparing every section
// with its proven hash shows that nothing is missing. Why one book that everybody reads, and nobody who is told: what
// is kept twice is equal only as long as nobody forgets to say so.
