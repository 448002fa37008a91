// Simulation: the other world.
//
// The same node that runs on sockets and a disk runs here on a virtual clock, a seeded wire and a map in memory. One
// process holds as many as fit; a second of virtual time takes as long as its events do.
//
// Picture.
//
//     TimerQueue ──events of a stretch──▶ Host ──event──▶ Node
//         ▲                                │                │ directives
//         │   datagrams ◀── SimulatedNetwork ◀── send ──────┤
//         │   results   ◀── job run at once on the host's store
//         └── commits   ◀── FaultyMap
//
// Terms. A *stretch* is a time in which no host can hear of what another one does in it: as long as a datagram takes at
// the least. So each host goes through its events of a stretch alone, on any thread, and what they send is put on the
// wire when all are through.
//
// A *liar* is an honest node that says something else than it would: what it makes of its own words is one definition
// with a name (`LiarKind.all`).
//
// Invariants. Nothing here or in a node reads a clock, a random source or an address: the seed and the order of calls
// decide everything, so two runs with the same seed have the same `logHash`, in two processes and on any number of
// threads. Hosts hand over what they send in the order of their events, and one host after the other. A job sees the
// store as it was when the job was handed out, never a later commit.
//
// Why not a thread a node, with a fake clock: such an interleaving cannot be replayed. A failure here is a seed.
