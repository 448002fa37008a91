import Chain
import Foundation
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Answers a question about an account out of a data directory, which may be a running node's. What the store gives is
/// proven under the header of an anchor by the same check as what a peer gives.
public enum StateLookup {
    /// Why there is no answer here.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// The section of the account, or of the slot of a spread storage, is not held whole.
        case notHeld(section: String)
        /// It is held, and no anchor that it stands at is proven here: crown or header is missing.
        case noAnchor(section: String)
        /// The block is none that is served here; those that are.
        case notServed(block: UInt64, served: [UInt64])
        /// The account's code is not here.
        case noCode(Bytes32)
        /// What the store holds is not what its anchor's header names.
        case damaged(StateQueryError)

        public var description: String {
            switch self {
            case .notHeld(let section):
                return "section \(section) is not held whole here: ask the network with --bootnodes, or let the node "
                    + "run on"
            case .noAnchor(let section):
                return "no final anchor proves section \(section) here yet: let the node run on, or ask the network "
                    + "with --bootnodes"
            case .notServed(let block, let served):
                let blocks = served.map { "\($0)" }.joined(separator: " and ")
                return "block \(block) is not served here: \(blocks) can be asked for with --block"
            case .noCode(let hash):
                return "code \(hash) is not here: let the node run on, or ask the network with --bootnodes"
            case .damaged(let error):
                return "what is stored is not what the header names (\(error)): 'carousel verify' tells more"
            }
        }
    }

    /// The answer at the newest anchor at which it is held, or at `block`.
    public static func answer(
        _ question: StateQuestion, block: UInt64?, in directory: DataDirectory, networkFile: String
    ) throws -> StateAnswer {
        try StoreAccess.withSnapshot(of: directory, networkFile: networkFile) { snapshot, network in
            try answer(question, block: block, in: snapshot, network)
        }
    }

    static func answer<Snapshot: StoreSnapshot>(
        _ question: StateQuestion, block: UInt64?, in snapshot: Snapshot, _ network: NetworkConfiguration
    ) throws -> StateAnswer {
        let section = Section(of: question.account, depth: network.sectionDepth)
        guard let record = try SectionRecord.read(section, in: snapshot), record.isComplete else {
            throw Failure.notHeld(section: "\(section)")
        }
        var proven: [Proven] = []
        for point in [record.working, record.previous].compactMap({ $0 }) {
            if let found = try Proven(point, network, in: snapshot) { proven.append(found) }
        }
        guard let newest = proven.first else { throw Failure.noAnchor(section: "\(section)") }
        guard let chosen = block.map({ block in proven.first { $0.header.number == block } }) ?? newest else {
            throw Failure.notServed(block: block ?? 0, served: proven.map(\.header.number))
        }
        var query = StateQuery(question, at: chosen.anchor, chosen.header, placedBy: network.placement)
        while query.answer == nil {
            for need in query.needs {
                let value = try content(need, at: chosen, network, in: snapshot)
                let isTaken: Bool
                do throws(StateQueryError) {
                    isTaken = try query.take(value, for: need)
                } catch {
                    throw Failure.damaged(error)
                }
                guard isTaken else {
                    if case .code(let key) = need { throw Failure.noCode(key.hashes[0]) }
                    throw Failure.notHeld(section: "\(section)")
                }
            }
        }
        guard let answer = query.answer else { throw Failure.notHeld(section: "\(section)") }
        return answer
    }

    /// An anchor with what proves sections at it.
    private struct Proven {
        let anchor: Anchor
        let header: BlockHeader
        let crown: Crown

        /// nil where the point is no anchor, or its header or crown is not here.
        init?(_ point: StatePoint, _ network: NetworkConfiguration, in snapshot: some StoreSnapshot) throws {
            anchor = network.epochs.anchor(at: point)
            guard network.epochs.isBoundary(point.number),
                let bytes = try HeaderRecords.header(at: point, in: snapshot),
                let header = try? BlockHeader(rlp: bytes), header.point == point,
                let stored = try CrownRecords.crown(anchor, in: snapshot)
            else { return nil }
            self.header = header
            do throws(ContentError) {
                crown = try CrownValue.verify(stored, stateRoot: header.stateRoot, depth: network.sectionDepth)
            } catch {
                throw StateFault.crown(block: point.number)
            }
        }
    }

    /// What a peer would give that has this store.
    private static func content(
        _ need: StateQuery.Need, at proven: Proven, _ network: NetworkConfiguration, in snapshot: some StoreSnapshot
    ) throws -> [UInt8] {
        let job: StateJob
        switch need {
        case .code(let key): job = .serveCodes(ServeCodes(key: key))
        case .range(let key):
            let missing = StateStatus.notAtThisAnchor(served: [])
            let (section, crown) = try place(of: key, proven, network, in: snapshot)
            job = .serveRange(
                ServeRange(key: key, section: section, point: proven.header.point, crown: crown, otherwise: missing))
        }
        guard case .served(let value) = job.run(on: snapshot), value.first == 0 else {
            throw Failure.notHeld(section: "\(Section(of: keyAccount(need), depth: network.sectionDepth))")
        }
        return value
    }

    private static func keyAccount(_ need: StateQuery.Need) -> Bytes32 {
        switch need {
        case .range(let key): key.origin.account
        case .code(let key): key.near
        }
    }

    /// The section or part that a range lies in, and what joins it to the state root.
    private static func place(
        of key: RangeKey, _ proven: Proven, _ network: NetworkConfiguration, in snapshot: some StoreSnapshot
    ) throws -> (Section, ServeRange.Proof) {
        guard case .storage(let account, let placement) = key.trie, let rule = network.placement else {
            return (Section(of: key.origin.account, depth: network.sectionDepth), .accounts(proven.crown))
        }
        let part = Section(of: key.origin.slot, depth: Int(placement), owner: account)
        let held = try HeldState(
            from: snapshot, depth: network.sectionDepth, stateRoots: [proven.anchor.hash: proven.header.stateRoot],
            placedBy: rule)
        let crown = held.storageCrowns.first { crown in
            crown.key.account == account && crown.key.anchor == proven.anchor && crown.key.placement == Int(placement)
                && (crown.key.first...crown.key.last).contains(part.index)
        }
        guard let crown else { throw Failure.noAnchor(section: "\(part)") }
        return (part, .parts(crown))
    }
}
