import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// Storage that is spread round the ring: which parts are wanted follows from what is known of the tries.
extension Holdings {
    /// All parts of an account's spread storage; nil where it is not spread, or not all of them are complete here.
    func parts(of account: Bytes32, depth: Int? = nil) -> SpreadParts? {
        let depth = depth ?? spread.depth(of: account)
        guard depth > 0, let first = book.id(of: Section(depth: depth, index: 0, of: account)) else { return nil }
        let parts = (first..<(first + Section.count(depth: depth))).compactMap { id in
            book.read(id) { $0.isComplete ? $0 : nil }
        }
        guard parts.count == Section.count(depth: depth) else { return nil }
        return SpreadParts(account: account, depth: depth, parts: parts)
    }

    /// What the store held of it at the start.
    mutating func resume(
        tries: [(account: Bytes32, depth: Int)], crowns: [StorageCrown], newest: Anchor?
    ) {
        let anchor = Anchor(epoch: 0, hash: .zero)
        for (account, depth) in tries {
            note(spread.learn(account, depth: depth, at: anchor), of: account, from: anchor)
        }
        for crown in crowns.sorted(by: { $0.key.anchor < $1.key.anchor }) { took(crown) }
        // Parts without their account are known by their records alone.
        for part in book.parts.held where spread.knownAt(part.owner ?? .zero) == nil {
            guard let owner = part.owner else { continue }
            note(spread.learn(owner, depth: part.depth, at: anchor), of: owner, from: anchor)
        }
    }

    /// What was said of places of storage by a range or by the step of a section to an anchor.
    mutating func took(_ replaced: Replaced) {
        guard let point = replaced.point else { return }
        let anchor = book.epochs.anchor(at: point)
        for record in replaced.parts { _ = committed(record, section: book.take(record.section)) }
        for (account, depth) in replaced.placements.sorted(by: { $0.key < $1.key }) {
            note(spread.learn(account, depth: depth, at: anchor), of: account, from: anchor)
        }
    }

    /// A storage crown is verified.
    mutating func took(_ crown: StorageCrown) {
        note(spread.store(crown), of: crown.key.account, from: crown.key.anchor)
    }

    private mutating func note(_ news: SpreadTries.News, of account: Bytes32, from anchor: Anchor) {
        if case .placed(let depth) = news { book.want(partsOf: account, depth: depth, from: anchor) }
    }

    /// The hash of a section or part at an anchor; nil where what proves it is not here.
    func provenHash(of id: Int, at anchor: Anchor) -> Bytes32? {
        guard !book.isPart(id) else { return spread.provenHash(of: book.section(id), at: anchor) }
        // A crown that lacks a section proves nothing of it.
        return crowns.crown(at: anchor).flatMap { try? $0.sectionHash(id) }
    }

    /// Storage crowns at an anchor that are needed and not here: of stretches with parts that are wanted, and of
    /// accounts in held sections.
    func crownsLacking(at anchor: Anchor) -> [StorageCrownKey] {
        var keys: [StorageCrownKey] = []
        for account in spread.accounts {
            let depth = spread.depth(of: account)
            guard depth > 0, let first = book.id(of: Section(depth: depth, index: 0, of: account)) else { continue }
            for stretch in SpreadTries.stretches(depth: depth)
            where spread.crown(of: account, depth: depth, part: stretch, at: anchor) == nil {
                let ids = (first + stretch)..<(first + min(stretch + 256, Section.count(depth: depth)))
                let isAccountHeld = stretch == 0 && book.held(Section(of: account, depth: book.depth).index) != nil
                guard isAccountHeld || ids.contains(where: { book.read($0) { $0.wantedSince } != nil }),
                    let key = SpreadTries.key(account, depth: depth, stretch: stretch, at: anchor)
                else { continue }
                keys.append(key)
            }
        }
        return keys
    }

    /// How a section's step to an anchor places storage; nil where that cannot be done with what is here.
    func placing(of id: Int, at anchor: Anchor) -> (placing: Placing?, gathered: [SpreadParts])? {
        guard let rule = spread.rule, !book.isPart(id) else { return (nil, []) }
        let section = book.section(id)
        guard spread.areShown(in: section, at: anchor) else { return nil }
        var gathered: [SpreadParts] = []
        let goal = book.point(of: anchor).number
        for crown in spread.gathered(in: section, at: anchor) {
            guard let parts = parts(of: crown.key.account, depth: crown.key.placement),
                parts.subtrees(at: goal).map({ Crown(sections: $0, depth: parts.depth).root }) == crown.storageRoot
            else { return nil }
            gathered.append(parts)
        }
        return (Placing(rule: rule, shown: spread.shown(in: section, at: anchor)), gathered)
    }

    /// Whether the parts of every spread trie that is here whole, with its account, make up the storage root that the
    /// account has after block `number`. Who keeps less compares its parts at anchors, by storage crowns.
    func arePartsVerified(at number: UInt64) -> Bool {
        spread.accounts.allSatisfy { account in
            let index = Section(of: account, depth: book.depth).index
            guard spread.depth(of: account) > 0, book.announced.contains(index), let section = held(index),
                let parts = parts(of: account)
            else { return true }
            guard let root = storageRoot(of: account, section, at: number), let subtrees = parts.subtrees(at: number)
            else { return false }
            return Crown(sections: subtrees, depth: parts.depth).root == root
        }
    }

    /// The storage root of a spread account after block `number`, by what is held of its section; nil where that is not
    /// known.
    private func storageRoot(of account: Bytes32, _ section: SectionEntry, at number: UInt64) -> Bytes32? {
        let key = FlatKey(account: account)
        for layer in section.layers.reversed() where layer.point.number <= number {
            let leaves = layer.update.leaves
            let place = leaves.partitionPoint { $0.key < key }
            guard place < leaves.count, leaves[place].key == key else { continue }
            guard let body = leaves[place].after else { return Subtree.emptyRoot }
            return (try? StateAccount(slim: body))?.storageRoot
        }
        guard let record = section.record, record.working.number <= number else { return nil }
        return spread.crown(of: account, at: book.epochs.anchor(at: record.working))?.storageRoot
    }

    /// Whether storage may have another place after a block than where a section stands: an anchor lies between.
    func mayBeReplaced(_ id: Int, at point: StatePoint) -> Bool {
        guard spread.rule != nil, point.number > 0, let record = held(id)?.record else { return false }
        return book.epochs.epoch(of: point.number - 1) > book.epochs.epoch(of: record.working.number)
    }

    /// Tries whose storage crowns at an anchor are not here and can be made of what is: the account and all parts are.
    func crownsToMake(at anchor: Anchor) -> [MakeStorageCrowns] {
        guard let rule = spread.rule, let crown = crowns.crown(at: anchor) else { return [] }
        let point = book.point(of: anchor)
        return spread.accounts.compactMap { account in
            guard spread.crown(of: account, depth: spread.depth(of: account), part: 0, at: anchor) == nil,
                let section = held(Section(of: account, depth: book.depth).index),
                section.stateHash(at: point.number)
                    == provenHash(of: Section(of: account, depth: book.depth).index, at: anchor),
                let parts = parts(of: account), parts.subtrees(at: point.number) != nil
            else { return nil }
            return MakeStorageCrowns(
                anchor: anchor, point: point, section: section, trie: parts, crown: crown, rule: rule)
        }
    }
}

extension Holdings {
    /// Tries that are spread otherwise than before, and of which parts of the former placement are still here: these
    /// make room for the others. Where all of them are here the others can be made of them.
    var outgrown: [(account: Bytes32, depth: Int, parts: [Int])] {
        spread.accounts.compactMap { account in
            let depth = spread.depth(of: account)
            let others = depth > 0 ? book.parts.others(than: depth, of: account) : []
            return others.isEmpty ? nil : (account, depth, others)
        }
    }

    /// The job that makes parts of a placement out of all those of another; nil where some are not here.
    func resplitting(_ account: Bytes32, to depth: Int, _ parts: [Int], at anchor: Anchor) -> ResplitParts? {
        guard let former = parts.first.map({ book.section($0).depth }),
            let held = self.parts(of: account, depth: former), held.subtrees(at: book.point(of: anchor).number) != nil
        else { return nil }
        return ResplitParts(trie: held, depth: depth, point: book.point(of: anchor))
    }

    /// The parts of a former placement are gone: those of the present one are wanted now.
    mutating func wantAnew(_ account: Bytes32) {
        guard let anchor = spread.knownAt(account) else { return }
        book.want(partsOf: account, depth: spread.depth(of: account), from: anchor)
    }

    /// Accounts in some sections whose storage is spread at an anchor, as far as is known here.
    func directory(of sections: [Int], at anchor: Anchor) -> [WideEntry] {
        let asked = Set(sections)
        return spread.accounts.compactMap { account in
            guard asked.contains(Section(of: account, depth: book.depth).index),
                let crown = spread.crown(of: account, at: anchor), crown.placement > 0
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
