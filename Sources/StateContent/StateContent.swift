// StateContent: what nodes say to each other of the state, and how it is proven. Source: Specs/wire.md §3 to §5.
//
// Picture.
//
//      StateContentKey ── names ──▶ value = status byte, then content
//
//      0x40  RangeKey      RangeServer   makes ▶ RangeValue           ◀ proves  RangeCheck
//      0x41  DiffsKey      DiffsServer   makes ▶ changes of sections  ◀ proves  DiffsCheck
//      0x42  CodesKey      CodesValue    makes ▶ codes                ◀ proves  CodesValue
//      0x43  BlockDiffKey  BlockDiffValue makes ▶ one block's changes ◀ proves  BlockDiffCheck
//      0x44  an anchor     CrownValue    makes ▶ nodes above depth d  ◀ proves  CrownValue
//      0x45  SectionsKey   SectionsServer joins ▶ whole sections     ◀ proves  SectionsCheck
//      0x46  SubtreesKey   SubtreesValue makes ▶ nodes by place       ◀ proves  SubtreesValue
//      0x4A  BlockDiffsKey BlockDiffsServer joins ▶ many of 0x43      ◀ proves  BlockDiffsCheck, and takes them apart
//      0x48  nothing       AvailabilityValue: a peer's word, which nothing proves
//      ping  StatePingPayload: the same in short
//
// Terms. A *key* is what is asked for or offered, and all of it: two who have the same key mean the same bytes. A
// *status* says why there is no content. *Columns* are the fields of a value that has one entry a leaf: all keys, all
// bodies, all slots, each in one run of bytes.
//
// Phases of an answer: bytes; columns (sizes and order hold); proven (the trie says so). Only what is proven
// leaves this target as state.
//
// Invariants. Nothing is allocated by a count before the bytes are there that it counts. There is one form of every
// key and value: what decodes encodes to the same bytes again. A server's own largest answer passes the check, and no
// check asks who sent something. Nothing is kept: these are functions of their arguments and of a lent snapshot.
//
// Why columns and not a list of accounts: a range has tens of thousands of leaves, and a value an account each would be
// as many allocations on both ends; hashes, too, are made in batches from a column. Why keys that bound the answer:
// what an asker is ready to take is known before the first byte comes.
