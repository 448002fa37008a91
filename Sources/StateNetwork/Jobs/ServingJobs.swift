import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Answers a range request from one section at one served anchor. A request that goes on past the section is answered
/// up to its end.
public struct ServeRange: Sendable {
    let key: RangeKey
    let section: Section
    /// The block at the anchor's boundary.
    let point: StatePoint
    let crown: Proof
    /// The answer where the store has moved on to other anchors meanwhile.
    let otherwise: StateStatus

    /// What joins a section or a part to the state's root.
    public enum Proof: Sendable {
        case accounts(Crown)
        case parts(StorageCrown)
    }

    public init(key: RangeKey, section: Section, point: StatePoint, crown: Proof, otherwise: StateStatus) {
        self.key = key
        self.section = section
        self.point = point
        self.crown = crown
        self.otherwise = otherwise
    }

    func run(on snapshot: some StoreSnapshot) -> [UInt8] {
        ServedSection(section: section, point: point, otherwise: otherwise).answer(on: snapshot) { view in
            switch crown {
            case .accounts(let crown): try RangeServer.serve(key, view: &view, crown: crown)
            case .parts(let crown): try RangeServer.serve(key, view: &view, crown: crown)
            }
        }
    }
}

/// One section at one served anchor, as it stands in a snapshot.
struct ServedSection {
    let section: Section
    let point: StatePoint
    /// The answer where the store has moved on to other anchors meanwhile.
    let otherwise: StateStatus

    /// What `make` makes of the section, or why there is nothing.
    func answer<Snapshot: StoreSnapshot>(
        on snapshot: Snapshot, _ make: (inout StateView<Snapshot>) throws -> [UInt8]?
    ) -> [UInt8] {
        do {
            // The record is read from the same snapshot as the leaves: a fold that was committed since the request
            // came cannot mix two anchors.
            guard let record = try SectionRecord.read(section, in: snapshot) else { return otherwise.encoded }
            var view = StateView(
                snapshot, depth: section.depth, of: section.owner, at: point, records: [record])
            guard view.holds(section) else { return otherwise.encoded }
            return try make(&view) ?? otherwise.encoded
        } catch {
            return StateStatus.busy(seconds: StateNetworkLimits.busyAnswerSeconds).encoded
        }
    }
}

/// Answers a request for the changes of some sections between two state points.
public struct ServeDiffs: Sendable {
    /// One section that can be led to the goal.
    public struct Section: Sendable {
        let section: StateStore.Section
        /// Its layers up to the goal.
        let layers: [BlockLayer]
        /// Nodes that prove its hash at the goal; empty where the asker wants none.
        let proof: [[UInt8]]
        /// Of a part: its account at the goal, in slim form; nil where that is gone.
        let owner: [UInt8]?

        public init(
            section: StateStore.Section, layers: [BlockLayer], proof: [[UInt8]], owner: [UInt8]? = nil
        ) {
            self.owner = owner
            self.section = section
            self.layers = layers
            self.proof = proof
        }
    }

    package let key: DiffsKey
    let depth: Int
    let sections: [Section]
    let otherwise: StateStatus
    /// Accounts of these sections whose storage is spread, or was lately.
    let spread: Set<Bytes32>

    public init(
        key: DiffsKey, depth: Int, sections: [Section], otherwise: StateStatus, spread: Set<Bytes32> = []
    ) {
        self.spread = spread
        self.key = key
        self.depth = depth
        self.sections = sections
        self.otherwise = otherwise
    }

    func run(on snapshot: some StoreSnapshot) -> [UInt8] {
        let bySection = Dictionary(uniqueKeysWithValues: sections.map { ($0.section, $0) })
        do {
            return try DiffsServer.serve(key, depth: depth) { section in
                bySection[section]?.proof ?? []
            } placements: { section, changes in
                try placements(of: section, changes, in: snapshot)
            } changes: { section in
                guard let source = bySection[section] else { return nil }
                guard let found = try changes(of: source, in: snapshot) else { return nil }
                return try travelling(found, of: source, in: snapshot)
            }
        } catch {
            return StateStatus.busy(seconds: StateNetworkLimits.busyAnswerSeconds).encoded
        }
    }

    /// The changes as they travel: of a part behind its account; of a section without slots that are elsewhere.
    private func travelling(
        _ changes: [LeafChange], of source: Section, in snapshot: some StoreSnapshot
    ) throws -> [LeafChange] {
        if let account = source.section.owner {
            guard !changes.isEmpty else { return [] }
            let body = LeafChange(key: FlatKey(account: account), value: source.owner)
            return source.owner == nil ? [body] : [body] + changes
        }
        let changes = changes.filter { $0.key.slot == nil || key.kept.keeps($0.key.account) }
        guard !spread.isEmpty else { return changes }
        let view = try view(of: source, in: snapshot)
        var elsewhere: Set<Bytes32> = []
        for account in spread where try view?.isSpread(account) ?? false { elsewhere.insert(account) }
        return changes.filter { $0.key.slot == nil || !elsewhere.contains($0.key.account) }
    }

    /// The nodes that show where storage is at the goal, of changed accounts whose storage is elsewhere. Within an
    /// epoch nobody needs to be shown.
    private func placements(
        of section: StateStore.Section, _ changes: [LeafChange], in snapshot: some StoreSnapshot
    ) throws -> [[UInt8]] {
        guard !spread.isEmpty, section.owner == nil, let source = sections.first(where: { $0.section == section }),
            let record = try SectionRecord.read(section, in: snapshot),
            record.working == key.to || record.previous == key.to, let view = try view(of: source, in: snapshot)
        else { return [] }
        var nodes: [[UInt8]] = []
        for change in changes where change.key.slot == nil && spread.contains(change.key.account) {
            guard change.value != nil, key.kept.keeps(change.key.account), try view.isSpread(change.key.account) else {
                continue
            }
            nodes += try view.placementNodes(of: change.key.account)
        }
        return nodes
    }

    /// The section at the goal, as far as its places of storage go: those of the anchor that it stands on.
    private func view<Snapshot: StoreSnapshot>(
        of source: Section, in snapshot: Snapshot
    ) throws -> StateView<Snapshot>? {
        guard let record = try SectionRecord.read(source.section, in: snapshot) else { return nil }
        let isBefore = key.to.number < record.working.number
        return StateView(snapshot, source.section, layering: isBefore ? .previous : .base)
    }

    /// Changes gone through for an answer, bytes. Newer ones may undo older ones, so they may be more than the answer
    /// has; but an answer of one byte is not worth a whole history.
    private var historyBytes: Int {
        let served = min(Int(key.maxBytes), StateContentLimits.servedDiffBytes)
        return max(StateContentLimits.historyFloor, served * StateContentLimits.historyFactor)
    }

    /// nil where history does not reach back to the start; throws where it is too long for the answer.
    private func changes(of source: Section, in snapshot: some StoreSnapshot) throws -> [LeafChange]? {
        guard let record = try SectionRecord.read(source.section, in: snapshot), record.isComplete else { return nil }
        // The section stands at the goal as it stood after its last block up to it.
        let above = source.layers.last { $0.point.number > record.working.number }?.point
        let goal = key.to.number < record.working.number ? key.to : above ?? record.working
        guard goal.number >= key.from.number else { return nil }
        // The section stands at its working point as that one block left it, and no rival of it.
        if key.from.number == record.working.number, key.from != record.working { return nil }
        // From its working point to the goal nothing may have changed at all.
        if goal == record.working, key.from.number >= goal.number { return [] }
        do throws(StoreError) {
            return try History.compose(
                source.section, from: key.from, to: goal, in: snapshot, layers: source.layers, limit: historyBytes)
        } catch {
            switch error {
            case .noHistory: return nil
            case .historyTooLong: throw DiffsServer.TooMany()
            default: throw error
            }
        }
    }
}

/// Answers a request for code.
public struct ServeCodes: Sendable {
    let key: CodesKey

    public init(key: CodesKey) { self.key = key }

    func run(on snapshot: some StoreSnapshot) -> [UInt8] {
        do {
            return try CodesValue.serve(key) { try CodeRecords.code($0, in: snapshot) }
        } catch {
            return StateStatus.busy(seconds: StateNetworkLimits.busyAnswerSeconds).encoded
        }
    }
}
