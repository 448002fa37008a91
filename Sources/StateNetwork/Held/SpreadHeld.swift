import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// What follows from all that is held together of spread storage: what is lacking, what can be made of it, and whether
/// it is what it must be. It reads the holdings and changes nothing.
enum SpreadHeld {
    /// All parts of an account's spread storage; nil where it is not spread, or not all of them are complete here.
    static func parts(of account: Bytes32, depth: Int? = nil, _ holdings: Holdings) -> SpreadParts? {
        let depth = depth ?? holdings.spread.depth(of: account)
        guard depth > 0, let first = holdings.book.id(of: Section(depth: depth, index: 0, of: account)) else {
            return nil
        }
        let parts = (first..<(first + Section.count(depth: depth))).compactMap { id in
            holdings.book.read(id) { $0.isComplete ? $0 : nil }
        }
        guard parts.count == Section.count(depth: depth) else { return nil }
        return SpreadParts(account: account, depth: depth, parts: parts)
    }

    /// Storage crowns at an anchor that are needed and not here: of stretches with parts that are wanted, and of
    /// accounts in held sections.
    static func crownsLacking(at anchor: Anchor, _ holdings: Holdings) -> [StorageCrownKey] {
        var keys: [StorageCrownKey] = []
        for account in holdings.spread.accounts {
            let depth = holdings.spread.depth(of: account)
            guard depth > 0, let first = holdings.book.id(of: Section(depth: depth, index: 0, of: account)) else {
                continue
            }
            for stretch in SpreadTries.stretches(depth: depth)
            where holdings.spread.crown(of: account, depth: depth, part: stretch, at: anchor) == nil {
                let end = min(stretch + StateContentLimits.maskBits, Section.count(depth: depth))
                let ids = (first + stretch)..<(first + end)
                let isAccountHeld =
                    stretch == 0 && holdings.book.held(Section(of: account, depth: holdings.book.depth).index) != nil
                guard isAccountHeld || ids.contains(where: { holdings.book.read($0) { $0.wantedSince } != nil }),
                    let key = SpreadTries.key(account, depth: depth, stretch: stretch, at: anchor)
                else { continue }
                keys.append(key)
            }
        }
        return keys
    }

    /// How a section's step to an anchor places storage; nil where that cannot be done with what is here.
    static func placing(of id: Int, at anchor: Anchor, _ holdings: Holdings) -> (
        placing: Placing?, gathered: [SpreadParts]
    )? {
        guard let rule = holdings.spread.rule, !holdings.book.isPart(id) else { return (nil, []) }
        let section = holdings.book.section(id)
        guard holdings.spread.areShown(in: section, at: anchor) else { return nil }
        var gathered: [SpreadParts] = []
        let goal = holdings.book.point(of: anchor).number
        for crown in holdings.spread.gathered(in: section, at: anchor) {
            guard let parts = parts(of: crown.key.account, depth: crown.key.placement, holdings),
                parts.subtrees(at: goal).map({ Crown(sections: $0, depth: parts.depth).root }) == crown.storageRoot
            else { return nil }
            gathered.append(parts)
        }
        return (Placing(rule: rule, shown: holdings.spread.shown(in: section, at: anchor)), gathered)
    }

    /// Whether the parts of every spread trie that is announced whole, with its account, make up the storage root that
    /// the account has after block `number`. Who keeps less compares its parts at anchors, by storage crowns; so does
    /// who is filling the place of some of them, for which no block diffs come yet.
    static func arePartsVerified(at number: UInt64, _ holdings: Holdings) -> Bool {
        holdings.spread.accounts.allSatisfy { account in
            let index = Section(of: account, depth: holdings.book.depth).index
            guard holdings.spread.depth(of: account) > 0, holdings.book.announced.contains(index),
                let section = holdings.held(index),
                let parts = parts(of: account, holdings), parts.areAnnounced(holdings.book)
            else { return true }
            guard let root = storageRoot(of: account, section, at: number, holdings),
                let subtrees = parts.subtrees(at: number)
            else { return false }
            return Crown(sections: subtrees, depth: parts.depth).root == root
        }
    }

    /// The storage root of a spread account after block `number`, by what is held of its section; nil where that is not
    /// known.
    private static func storageRoot(
        of account: Bytes32, _ section: SectionEntry, at number: UInt64, _ holdings: Holdings
    ) -> Bytes32? {
        let key = FlatKey(account: account)
        for layer in section.layers.reversed() where layer.point.number <= number {
            let leaves = layer.update.leaves
            let place = leaves.partitionPoint { $0.key < key }
            guard place < leaves.count, leaves[place].key == key else { continue }
            guard let body = leaves[place].after else { return Subtree.emptyRoot }
            return (try? StateAccount(slim: body))?.storageRoot
        }
        guard let record = section.record, record.working.number <= number else { return nil }
        return holdings.spread.crown(of: account, at: holdings.book.epochs.anchor(at: record.working))?.storageRoot
    }

    /// Whether storage may have another place after a block than where a section stands: an anchor lies between.
    static func mayBeReplaced(_ id: Int, at point: StatePoint, _ holdings: Holdings) -> Bool {
        guard holdings.spread.rule != nil, point.number > 0, let record = holdings.held(id)?.record else {
            return false
        }
        return holdings.book.epochs.epoch(of: point.number - 1) > holdings.book.epochs.epoch(of: record.working.number)
    }

    /// Tries whose storage crowns at an anchor are not here and can be made of what is: the account and all parts are.
    static func crownsToMake(at anchor: Anchor, _ holdings: Holdings) -> [MakeStorageCrowns] {
        guard let rule = holdings.spread.rule, let crown = holdings.crowns.crown(at: anchor) else { return [] }
        let point = holdings.book.point(of: anchor)
        return holdings.spread.accounts.compactMap { account in
            guard
                holdings.spread.crown(of: account, depth: holdings.spread.depth(of: account), part: 0, at: anchor)
                    == nil,
                let section = holdings.held(Section(of: account, depth: holdings.book.depth).index),
                section.stateHash(at: point.number)
                    == holdings.provenHash(of: Section(of: account, depth: holdings.book.depth).index, at: anchor),
                let parts = parts(of: account, holdings), parts.subtrees(at: point.number) != nil
            else { return nil }
            return MakeStorageCrowns(
                anchor: anchor, point: point, section: section, trie: parts, crown: crown, rule: rule)
        }
    }

    /// Tries that are spread otherwise than before, and of which parts of the former placement are still here: these
    /// make room for the others. Where all of them are here the others can be made of them.
    static func outgrown(_ holdings: Holdings) -> [(account: Bytes32, depth: Int, parts: [Int])] {
        holdings.spread.accounts.compactMap { account in
            let depth = holdings.spread.depth(of: account)
            let others = depth > 0 ? holdings.book.parts.others(than: depth, of: account) : []
            return others.isEmpty ? nil : (account, depth, others)
        }
    }

    /// The job that makes parts of a placement out of all those of another; nil where some are not here.
    static func resplitting(
        _ account: Bytes32, to depth: Int, _ parts: [Int], at anchor: Anchor, _ holdings: Holdings
    ) -> ResplitParts? {
        guard let former = parts.first.map({ holdings.book.section($0).depth }),
            let held = SpreadHeld.parts(of: account, depth: former, holdings),
            held.subtrees(at: holdings.book.point(of: anchor).number) != nil
        else { return nil }
        return ResplitParts(trie: held, depth: depth, point: holdings.book.point(of: anchor))
    }

    /// Accounts in some sections whose storage is spread at an anchor, as far as is known here.
    static func directory(of sections: [Int], at anchor: Anchor, _ holdings: Holdings) -> [WideEntry] {
        let asked = Set(sections)
        return holdings.spread.accounts.compactMap { account in
            guard asked.contains(Section(of: account, depth: holdings.book.depth).index),
                let crown = holdings.spread.crown(of: account, at: anchor), crown.placement > 0
            else { return nil }
            return WideEntry(account: account, placement: crown.placement, storageRoot: crown.storageRoot)
        }
    }
}

extension BlockLayer {
    /// Of a layer of a part: its account after the block, in slim form, by the layer's own proof; nil where that is
    /// gone.
    func owner(_ index: Int, depth: Int, of account: Bytes32, header: BlockHeader?) -> [UInt8]? {
        guard let header,
            let proof = try? PartsProof(
                pathProof,
                for: PartsProof.Question(
                    root: header.stateRoot, account: account, depth: depth, parts: [index], placement: nil),
                storageRoot: { try? StateAccount(rlp: $0).storageRoot })
        else { return nil }
        return proof.account.flatMap { try? StateAccount(rlp: $0).slim }
    }
}
