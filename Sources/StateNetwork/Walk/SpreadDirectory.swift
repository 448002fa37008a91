import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Which storage is spread, as others say: asked for at each anchor by nodes that keep a part of the ring, since parts
/// of any account's storage may lie in it. Nothing of it is believed: an entry says whom to ask a storage crown about,
/// and what that shows is known.
///
/// Anybody may say anything here. So few entries are looked into at once, one that nobody shows is given up, and who
/// was found to have said something false is not believed any further: a liar costs some small answers an anchor.
struct SpreadDirectory: Sendable {
    /// What somebody says of an account, by the crown that shows whether it is so.
    private struct Hint: Sendable {
        var sayers: Set<Bytes32>
        /// How often it was asked about in vain.
        var failures = 0
    }

    /// What the storage crowns that are lacking depend on.
    private struct Standing: Equatable {
        let anchor: Anchor
        let arc: Range<Int>
        let tries: Int
        let wanted: Int
    }

    /// The anchor that is asked about, and since when that is the newest.
    private(set) var anchor: Anchor?
    private(set) var since = Instant.zero
    /// By section: who has said what is spread of it.
    private var answered: [Int: Set<Bytes32>] = [:]
    /// What is said and not looked into yet.
    private var hints: [StorageCrownKey: Hint] = [:]
    /// The same as it came.
    private var order = Queue<StorageCrownKey>()
    /// The crowns that are lacking, and when that was worked out.
    private var lacking: (standing: Standing, keys: [StorageCrownKey])?

    /// This anchor is the newest.
    mutating func follow(_ newest: Anchor, at now: Instant) {
        guard anchor != newest else { return }
        (anchor, since) = (newest, now)
        (answered, hints, order) = ([:], [:], Queue())
    }

    // MARK: Asking

    /// Whether a peer may still be asked about a section.
    func isOpen(_ section: Int, to peer: Bytes32) -> Bool {
        guard let peers = answered[section] else { return true }
        return peers.count < WalkLimits.directoriesPerSection && !peers.contains(peer)
    }

    /// A peer was asked about these sections, whatever came of it.
    mutating func ended(_ sections: [Int], of peer: Bytes32) {
        for section in sections { answered[section, default: []].insert(peer) }
    }

    /// The storage crowns to ask for at the newest anchor: those that are needed and not here, and some that show
    /// whether it is as others say.
    mutating func open(_ holdings: Holdings) -> [StorageCrownKey] {
        while let first = order.first, hints[first] == nil { _ = order.removeFirst() }
        return crownsLacking(holdings)
            + order.lazy.filter { [hints] in hints[$0] != nil }
            .prefix(WalkLimits.hintsLookedInto)
    }

    private mutating func crownsLacking(_ holdings: Holdings) -> [StorageCrownKey] {
        guard let anchor else { return [] }
        let standing = Standing(
            anchor: anchor, arc: holdings.book.arc, tries: holdings.spread.revision,
            wanted: holdings.book.parts.wantedRevision)
        if let lacking, lacking.standing == standing { return lacking.keys }
        let keys = SpreadHeld.crownsLacking(at: anchor, holdings)
        lacking = (standing, keys)
        return keys
    }

    // MARK: What came

    /// A peer says that this storage is spread at an anchor. What is known, or has nothing to do with what is kept
    /// here, is passed over, and all of it where another anchor is asked about by now.
    mutating func came(_ entries: [WideEntry], at named: Anchor, from peer: Bytes32, _ holdings: Holdings) {
        guard named == anchor else { return }
        for entry in entries where holdings.spread.depth(of: entry.account) != entry.placement {
            // Any of its crowns shows the placement: that with the first part that lies here.
            guard let part = entry.part(in: holdings.book.arc, sectionDepth: holdings.book.depth),
                let key = SpreadTries.key(
                    entry.account, depth: entry.placement, stretch: SpreadTries.stretch(of: part), at: named)
            else { continue }
            if hints[key] != nil {
                hints[key]?.sayers.insert(peer)
            } else if hints.count < WalkLimits.directoryHints {
                hints[key] = Hint(sayers: [peer])
                order.append(key)
            }
        }
    }

    /// A storage crown shows how an account's storage is placed. Gives those who said otherwise of this anchor; what
    /// they alone said beside that is not looked into.
    mutating func looked(into crown: StorageCrown) -> Set<Bytes32> {
        guard crown.key.anchor == anchor, !hints.isEmpty else { return [] }
        var liars: Set<Bytes32> = []
        for (key, hint) in hints where key.account == crown.key.account {
            hints[key] = nil
            if key.placement != crown.placement { liars.formUnion(hint.sayers) }
        }
        guard !liars.isEmpty else { return [] }
        for (key, hint) in hints {
            let left = hint.sayers.subtracting(liars)
            if left.isEmpty { hints[key] = nil } else { hints[key]?.sayers = left }
        }
        return liars
    }

    /// A peer that was asked for this crown did not give it.
    mutating func notShown(_ key: StorageCrownKey) {
        guard let hint = hints[key] else { return }
        let failures = hint.failures + 1
        hints[key] = failures < WalkLimits.hintFailures ? Hint(sayers: hint.sayers, failures: failures) : nil
    }
}

extension WideEntry {
    /// The first of the parts, as the entry has it, that lies in an arc; nil where none does.
    fileprivate func part(in arc: Range<Int>, sectionDepth: Int) -> Int? {
        guard (1...sectionDepth).contains(placement) else { return nil }
        // A part lies where its account does but for the first nibbles, which are the part's laid over them. So seen
        // from the account the sections of an arc, which is aligned, are an aligned run again, and of these such are
        // parts' places as have zeros below the part's nibbles.
        let home = Section(of: account, depth: sectionDepth).index
        let shift = 4 * (sectionDepth - placement)
        let first = (arc.lowerBound ^ home) & ~(arc.count - 1)
        return first & (1 << shift - 1) == 0 ? first >> shift : nil
    }
}
