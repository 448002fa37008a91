// Walk: the merry-go-round.
//
// Terms. An *anchor* is the state at an epoch's boundary block. A *section* is an aligned slice of the account
// keyspace, the unit of responsibility. The *arc* is the run of sections this node wants: all of them for a full
// state, the stretch round its own id for a node that serves. A *lane* walks a stretch of the arc upward; its `L` is
// the next missing cursor of the section it is on. `P` is all that is held, each section at one working anchor; `D` is
// the diff under way for sections that are held at an older anchor than the newest.
//
//      0x00…                          the ring                          0xff…
//      |######|######|###L..|......|######|##L...|......|......|##L...|......|
//       lane 0 ─────────▶           lane 1 ─▶                   lane 2 ▶
//       (# at the newest anchor, or brought there by its diff D; . not yet fetched)
//
// Phases. *waiting*: no final anchor is known yet. *walking*: ranges are fetched at the newest anchor while every
// complete section that is behind it is brought forward by its diff. *following*: the whole arc is complete at one
// anchor; block diffs carry it to the head, and sections with a gap are caught up by diffs to a block.
//
// Invariants. A moving target cancels nothing: work under way ends at the anchor it began with. A section partly
// fetched is finished at its own anchor while somebody serves that, then crosses by its diff; when nobody serves it any
// more, what is held of it is *carried* to the newest by a diff, which the next range proves, and the walk of it goes
// on from there. So a section (or one account) that takes longer than its anchor lives loses nothing. What nobody's
// history leads on from is *compared* with the newest state by its subtree hashes. What that finds is written down with
// every answer, so it may take as many anchors and restarts as it likes: only what is not yet right is asked for again.
// Dropped is only what nobody helps to compare. Everything asked for is one operation, which ends once, whatever
// happened to it. What peers announce only says who can be asked; who of those is asked is the choice of the peer book
// (`PeerChooser`) and of nobody else. What counts as held stands in the book of sections, which follows the store.
// Under a download limit the section that is first to lose its anchor goes first; lanes that share a limit evenly would
// all be overtaken by the epochs.
//
// Why a planner and not a task per lane: every decision is a function of what is held, what peers say and what is
// in flight, so it is made in one place, is tested without a network, and replays from its seed.
//
// What ranges, diffs and crowns look like on the wire stands in Specs/wire.md.
