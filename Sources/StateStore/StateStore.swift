// StateStore: what a node keeps of the state, and what one transaction contains.
//
// Terms. The *flat order* is the one order of all leaves: an account's leaf, its slots, the next account's. A *section*
// is one of the 16^d equal slices of the account keyspace. The *base* is the state of a section at its *working point*
// (an anchor); sections need not stand at the same one. The *undo layer* says what differs at the point before it; a
// *block layer* what one block changed; a *fold* takes the base from one working point to the next. *History* is the
// leaves of every fold. A *view* is the state of some sections at one point, read through whatever layers that takes.
//
//        block layers   ▢ ▢ ▢        SectionLayering.overlays, newest first: forward, one a block, a tree while unfinal
//        ───────────────────────
//        base           ▣▣▣▣▣▣▣      tables leaves, accountBranches, storageBranches: the working point
//        ───────────────────────
//        undo layer     ▢▢           tables undo…: reverse, looked through for the point before
//        ───────────────────────
//        history        ▫ ▫ ▫ ▫ ▫    (key, before, after) of every fold: composed into diffs, never looked through
//
// A section's life. `RangeWriter` fills it from its first key on (coverage `partial`, its `next` cursor the
// watermark); with its last leaf it is `complete`. `SectionChange.apply` gives the exact effect of verified-to-be
// changes as a `SectionUpdate`; that becomes a `BlockLayer`, or is folded by `StateWrites.fold`. What is there of a
// partial one whose anchor nobody serves any more is led to another by `PartialSection`; a section from whose point no
// diff leads on is compared with the state at another (`SectionComparison`) and is `mixed` until nothing differs
// (`MixedSection`); it is dropped whole only where nobody helps with that either.
//
// Layout. One table holds accounts and slots: the 32 bytes of an account are a prefix of the 64 of its slots, so
// bytes compare as the flat order does, one cursor gives it, and a range needs no merge of two. Account leaves do not
// suffer: a seek to 32 bytes can only land on an account (a slot's key that is not below them has its account's leaf
// before it), so stepping from account to account is one seek each, whatever storage lies in between. Branch records
// are keyed by one byte a nibble: a path sorts right before what continues it, so "the shallowest branch at or below"
// is one seek. Extensions and leaf nodes are not stored: they follow. Nor are the branches over few leaves, which are
// built from those when needed (`MerklePatricia.swift`, "Why twigs"); nor those above depth d: they are the crown,
// and change with every section. Accounts of a twig may have any amount of storage between them: it is jumped over by
// one seek an account (`StateReader`), also where a layer deletes it.
//
// Invariants. A batch is a whole step: data, coverage and watermark together, so a crash leaves a step done or not
// begun. Nothing is written that was not verified by the caller. Of a mixed section each leaf was, at one anchor or
// another, and together they are no state until the section hash is that of the working point. Undo entries of a
// section are those of its last fold only. A slot never stands without its account. What is read back is checked: a
// record this program would not write is `StoreError.corrupt`, never a trap. Whether a record is the one that stood
// there is asked when a result does not fit, before anybody is blamed for it (`checking`): always would cost half as
// much again.
//
// Why not otherwise. Not one trie version a block: old branches would have to be counted or swept. Not a version stamp
// on every branch record (changes since e as a pruned walk): deletions need a log all the same, and a log of leaves
// alone is small enough to keep for weeks. Not a cache above the store: LMDB's map is one already.
