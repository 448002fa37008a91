import Discovery
import Primitives

// Which nodes are worth hearing from, and who leaves when there are too many.
extension HolderDirectory {
    /// Whether hearing from a node helps: a needed section that it covers, or (`told`) announces, has too few yet.
    func isOfUse(_ peerArc: Arc, subnet: Subnet?, told peer: StatePeer?) -> Bool {
        if let peer {
            // A bridge has nothing for those who take no state from it, and offers to holders only.
            guard role.takesState(from: peer.role), role != .bridge || peer.role == .holder, !peer.isDoubtful else {
                return false
            }
        }
        if peerArc.isWhole, !arc.isWhole || peer?.role != .holder {
            // One that shows something for it takes no account of those that do not.
            let mustProvide = peer.map { !$0.counted.provides.isEmpty } ?? false
            let others = book.peers(of: peerArc).filter {
                $0.isKept && $0.id != peer?.id && !$0.isDoubtful && (!mustProvide || !$0.counted.provides.isEmpty)
            }
            let neighbours = subnet == nil ? 0 : others.count { $0.subnet == subnet }
            return others.count < HolderLimits.keptWhole && neighbours < HolderLimits.keptPerSectionAndSubnet
        }
        return peerArc.sections.clamped(to: needed).contains { section in
            let mine = peer?.counted
            let keepers = keepers(of: section) - (mine?.keeps.contains(section) == true ? 1 : 0)
            let announces = mine?.provides.contains { $0.contains(section) } == true
            let isWelcome =
                keepers < HolderLimits.keptPerSection
                || (peer == nil ? isShort(section) : announces && providers(of: section) <= HolderLimits.keptPerSection)
            return isWelcome && subnetAllows(subnet, in: section, besides: peer?.id)
        }
    }

    func subnetAllows(_ subnet: Subnet?, in section: Int, besides id: Bytes32?) -> Bool {
        guard let subnet else { return true }
        let neighbours = book.covering(section).count {
            $0.isKept && $0.id != id && $0.subnet == subnet && !$0.isDoubtful
        }
        return neighbours < HolderLimits.keptPerSectionAndSubnet
    }

    /// Whether one more can be kept; the least useful leaves for it.
    mutating func makesRoom(in subnet: Subnet?) -> Bool {
        let limit = HolderLimits.kept(role, sections: needed.count)
        if let subnet {
            let ofSubnet = book.kept(in: subnet) + pending.values.count { $0.subnet == subnet }
            guard ofSubnet < limit / HolderLimits.subnetShare else { return false }
        }
        guard book.keptCount + pending.count >= limit else { return true }
        let kept = book.peers.values.filter(\.isKept)
        guard let least = kept.min(by: { usefulness(of: $0) < usefulness(of: $1) }),
            usefulness(of: least).rank < DirectoryRank.fillsAShortage
        else { return false }
        book.setKept(least.id, false)
        directives.append(.release(least.id))
        return true
    }

    /// The order in which kept peers leave: doubtful ones, those of no section that anything waits for, the rest; of
    /// equals the one heard from longest ago.
    func usefulness(of peer: StatePeer) -> (rank: DirectoryRank, toldAt: Instant, id: Bytes32) {
        let rank: DirectoryRank
        if peer.isDoubtful {
            rank = .doubtful
        } else if urgent.contains(where: { section in peer.counted.provides.contains { $0.contains(section) } }) {
            rank = .isWaitedFor
        } else {
            let isScarce = peer.arc.sections.clamped(to: needed).contains { supply($0) <= target($0) }
            rank = isScarce && role == .bridge ? .fillsAShortage : .spare
        }
        return (rank, peer.toldAt, peer.id)
    }
}

/// See `HolderDirectory.usefulness`.
enum DirectoryRank: Int, Comparable {
    case doubtful, spare, fillsAShortage, isWaitedFor
    static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
