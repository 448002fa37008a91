import Discovery
import Overlay
import Primitives
import StateStore

/// A node that answered in this run or an earlier one.
public struct KnownNode: Sendable, Equatable {
    /// Its newest record.
    public let record: NodeRecord
    /// When it last answered, seconds since 1970.
    public let lastAnswer: UInt64

    public init(record: NodeRecord, lastAnswer: UInt64) {
        self.record = record
        self.lastAnswer = lastAnswer
    }

    private static let name = "known-nodes"

    /// Those of earlier runs, the one that answered last first. What does not decode is as good as nothing: only the
    /// first minute depends on it.
    static func load(from snapshot: some StoreSnapshot) throws(StoreError) -> [KnownNode] {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return [] }
        return decode(bytes) ?? []
    }

    /// The list as it is kept: [[record, seconds], …].
    static func encode(_ nodes: [KnownNode]) -> [UInt8] {
        RLPWriter.list { list in
            for node in nodes {
                list.appendList { entry in
                    entry.append(node.record.encoded)
                    entry.append(node.lastAnswer)
                }
            }
        }
    }

    /// nil where the bytes are no such list, or a record in it does not verify.
    static func decode(_ bytes: [UInt8]) -> [KnownNode]? {
        var nodes: [KnownNode] = []
        do {
            guard case .list(let entries) = try RLPValue(decoding: bytes) else { return nil }
            for case .list(let entry) in entries.prefix(NodeLimits.knownNodes) {
                guard entry.count == 2, case .string(let record) = entry[0], case .string(let seconds) = entry[1],
                    seconds.count <= 8
                else { return nil }
                let time = seconds.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                nodes.append(KnownNode(record: try NodeRecord(decoding: record), lastAnswer: time))
            }
        } catch {
            return nil
        }
        return nodes
    }

    static func writing(_ nodes: [KnownNode]) -> WriteBatch { StateWrites.local(name, encode(nodes)) }
}

/// Keeps the nodes that answer for the next start.
struct KnownNodeKeeper: Sendable {
    /// Of earlier runs, and not met in this one yet.
    var earlier: [KnownNode]
    var nextSave: Instant

    init(_ earlier: [KnownNode], at now: Instant) {
        self.earlier = earlier
        nextSave = now + NodeLimits.firstKnownNodeSave
    }

    /// The nodes of earlier runs that are worth trying now.
    func worthTrying(unixSeconds: UInt64) -> [NodeRecord] {
        merged([], unixSeconds: unixSeconds).prefix(NodeLimits.knownNodesTried).map(\.record)
    }

    /// What is to be written down now of the nodes that answer; nil where it is not time, or where nobody answers: then
    /// what is kept is the best there is.
    mutating func dueToSave(_ overlay: Overlay, at moment: Moment) -> WriteBatch? {
        guard nextSave <= moment.instant else { return nil }
        nextSave = moment.instant + NodeLimits.knownNodeSaveInterval
        let met = overlay.knownNodes(limit: NodeLimits.knownNodes).map { record, answer in
            let age = (moment.instant - answer).microseconds / 1_000_000
            return KnownNode(record: record, lastAnswer: moment.unixSeconds - min(age, moment.unixSeconds))
        }
        return met.isEmpty ? nil : KnownNode.writing(merged(met, unixSeconds: moment.unixSeconds))
    }

    /// What is worth keeping: those who answer now before those of earlier runs, none too old.
    func merged(_ met: [KnownNode], unixSeconds: UInt64) -> [KnownNode] {
        var seen: Set<Bytes32> = []
        let fresh = (met + earlier).filter { seen.insert($0.record.id).inserted && !$0.isOld(at: unixSeconds) }
        return Array(fresh.prefix(NodeLimits.knownNodes))
    }
}

extension KnownNode {
    /// Whether it is not worth trying any more. One from the future (the clock was set back) is.
    func isOld(at unixSeconds: UInt64) -> Bool {
        unixSeconds > lastAnswer && unixSeconds - lastAnswer > NodeLimits.knownNodeSeconds
    }
}
