// StateNetwork: the content of the state network, and what one node holds of it.
//
// Picture.
//
//   key 0x40 range ──▶ RangeServer ─ value ─▶ RangeCheck ─▶ TakeRange ──┐
//   key 0x41 diffs ──▶ DiffsServer ─ value ─▶ DiffsCheck ─▶ TakeDiffs ──┤
//   key 0x43 block diff, gossiped ──────────▶ BlockDiffCheck ─▶ layer ──┼─▶ one transaction ─▶ Holdings
//   layers up to a final anchor ────────────────────────────▶ fold ─────┘
//   key 0x42 codes, 0x44 crown, 0x48 availability: one value each
//
// Terms. A *value* is a status byte and, after status 0, the content. A *crown* is every trie node above the sections
// at one anchor. A section's *base* is its state at its *working* anchor; a *layer* is what one later block changed; a
// *fold* makes the layers up to an anchor part of the base. `Holdings` is the machine of this target: which sections
// are held at which anchor, the layers above, the diffs that wait for their turn, who has a section locked, what is
// served and up to which block all of it was compared with proven hashes. The *node pool* has the trie nodes above the
// sections that were seen in crowns and proofs, and so proves most section hashes at most blocks by itself.
//
// `HolderDirectory` is the other machine of this target: who has which section elsewhere, and how they are found.
//
// Phases of a section: nothing, *partial* (a cursor says how far; a diff and the next range lead it to another anchor
// where nobody serves its own), *complete* at an anchor and from then on carried on: by layers from block to block, by
// folds from anchor to anchor, and by `0x41` where blocks were missed.
//
// Invariants. Codecs and checks are pure functions; jobs (`StateJob`) read one snapshot and return the transaction,
// never write. Nothing is stored that was not proven under an attested state root. The store is the truth: `Holdings`
// changes after the transaction that says the same; layers that memory drops are dropped from the store in that
// transaction or the next, and at a start layers that do not follow from each other are left out. Every section has at
// most one job that changes it (its lock). All that peers can make grow is bounded in number and in bytes
// (`StateNetworkLimits`).
//
// Why layers and not a copy per block: a block touches few leaves of a section, and a reorganisation then costs what it
// undoes. Why a verified head besides: a diff that never came leaves no trace by itself; only comparing every section
// with its proven hash shows that nothing is missing.
