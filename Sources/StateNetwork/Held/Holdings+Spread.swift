import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// Storage that is spread round the ring: which parts are wanted follows from what is known of the tries.
extension Holdings {
    /// What the store held of it at the start.
    mutating func resume(tries: [(account: Bytes32, depth: Int)], crowns: [StorageCrown]) {
        let anchor = Anchor(epoch: 0, hash: .zero)
        for (account, depth) in tries {
            spread.learn(account, depth: depth, at: anchor).apply(to: &book)
        }
        // What was stored before may be of accounts whose storage is kept no more.
        let own = crowns.filter { kept.keeps($0.key.account) }
        for crown in own.sorted(by: { $0.key.anchor < $1.key.anchor }) { spread.store(crown).apply(to: &book) }
        // Parts without their account are known by their records alone.
        for part in book.parts.held where spread.knownAt(part.owner ?? .zero) == nil {
            guard let owner = part.owner else { continue }
            spread.learn(owner, depth: part.depth, at: anchor).apply(to: &book)
        }
    }

    /// What was said of places of storage by a range or by the step of a section to an anchor.
    mutating func took(_ replaced: Replaced) {
        guard let point = replaced.point else { return }
        let anchor = book.epochs.anchor(at: point)
        for record in replaced.parts { _ = committed(record, section: book.take(record.section)) }
        for (account, depth) in replaced.placements.sorted(by: { $0.key < $1.key }) {
            spread.learn(account, depth: depth, at: anchor).apply(to: &book)
        }
    }

    /// Forgets storage crowns of anchors before `oldest`, and tries of which neither the account nor any part is of
    /// this node's concern any more: its arc has become smaller.
    mutating func keepSpread(from oldest: Anchor) {
        spread.keep { [crowns] in
            crowns.contains($0) || $0.epoch >= oldest.epoch
        } tries: { [book] account in
            book.held(Section(of: account, depth: book.depth).index) != nil || book.parts.hasEntries(of: account)
        }
    }

    /// The hash of a section or part at an anchor; nil where what proves it is not here.
    func provenHash(of id: Int, at anchor: Anchor) -> Bytes32? {
        guard !book.isPart(id) else { return spread.provenHash(of: book.section(id), at: anchor) }
        // A crown that lacks a section proves nothing of it.
        return crowns.crown(at: anchor).flatMap { try? $0.sectionHash(id) }
    }
}
