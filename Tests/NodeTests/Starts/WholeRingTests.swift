import Chain
import MerklePatricia
import Primitives
import StateStore
import Testing

@testable import Node
@testable import StateNetwork

/// What is said at a start of whoever holds the whole ring: that its sections make up the root of an anchor is said, or
/// denied, where they all stand at that anchor, and where the anchor is one that is known.
@Suite("The whole ring at a start") struct WholeRingTests {
    /// Genesis and eight blocks, of which the last changes every section and is final: the anchors of two epochs.
    private struct Line {
        let headers: [CertifiedHeader]
        let configuration: NodeConfiguration

        init() throws {
            let key = try Bench.attestingKey(0)
            var headers = [try Line.header(on: nil, version: 0)]
            for number in 1...8 { headers.append(try Line.header(on: headers.last, version: number == 8 ? 1 : 0)) }
            let network = try NetworkConfiguration(
                name: "bench", chainID: 7, genesisHash: headers[0].hash, checkpoint: headers[0].point, epochLength: 8,
                sectionDepth: 1,
                rule: NetworkConfiguration.Rule(keys: [key.publicKey], threshold: 1, maxAgeSeconds: 3_600))
            let claims = [Claim.Kind.head, .final].map { kind in
                key.sign(
                    Claim(kind: kind, point: headers[8].point, unixSeconds: 1_800_000_000), in: ClaimContext(network))
            }
            self.headers = headers.map {
                CertifiedHeader(header: $0, certificate: Certificate($0.number == 8 ? claims : []))
            }
            var configuration = try Bench.configuration(.holder)
            configuration.network = network
            configuration.arcPlan = .automatic
            self.configuration = configuration
        }

        private static func header(on parent: BlockHeader?, version: UInt8) throws -> BlockHeader {
            try BlockHeader(
                BlockHeader.Fields(
                    parentHash: parent?.hash ?? .zero, stateRoot: crown(version).root,
                    number: parent.map { $0.number + 1 } ?? 0, timestamp: 1_000))
        }

        static func subtree(_ section: Int, _ version: UInt8) -> Subtree {
            .leaf(key: Bytes32(UInt64(section) << 60, 0, 0, 1), value: [UInt8](repeating: version, count: 40))
        }

        static func crown(_ version: UInt8) -> Crown {
            Crown(sections: (0..<16).map { subtree($0, version) }, depth: 1)
        }

        func anchor(_ epoch: UInt64) -> Anchor { Anchor(epoch: epoch, hash: headers[Int(epoch) * 8].header.hash) }

        /// The half round the node's id that is announced while the other one is filled.
        var announced: Range<Int> { configuration.stateSync.arc(255).sections }

        /// What a holder that becomes one of the whole ring says first, with these records.
        func reports(_ record: (Int) -> (point: StatePoint, version: UInt8)) throws -> [NodeReport] {
            var stored = StoredState()
            stored.headers = headers
            stored.held.arc = (ArcMark(kept: 256, announced: 255), .automatic)
            stored.held.crowns = [(anchor(0), Line.crown(0)), (anchor(1), Line.crown(1))]
            stored.held.records = (0..<16).map { index in
                let (point, version) = record(index)
                return SectionRecord(
                    section: Section(depth: 1, index: index), working: point,
                    coverage: .complete(Line.subtree(index, version)))
            }
            let moment = Moment(instant: .zero, unixSeconds: 1_800_000_000)
            var node = try CarouselNode(
                configuration: configuration, stored: stored, entropy: Entropy(seed: Bytes32(0, 0, 0, 9)), at: moment)
            node.handle(.tick, at: moment)
            return node.drain().compactMap { if case .report(let report) = $0 { report } else { nil } }
        }
    }

    private static func failures(_ reports: [NodeReport]) -> [String] {
        reports.compactMap { if case .failed(let text) = $0 { text } else { nil } }
    }

    private static func complete(_ reports: [NodeReport]) -> [(anchor: Anchor, root: Bytes32?)] {
        reports.compactMap { if case .complete(let anchor, let root) = $0 { (anchor, root) } else { nil } }
    }

    /// A holder is stopped while the half that it fills is whole, and an anchor behind the one it announces.
    @Test func halvesAtTwoAnchorsAreNoDamage() throws {
        let line = try Line()
        let points = [line.headers[0].point, line.headers[8].point]
        let reports = try line.reports { line.announced.contains($0) ? (points[1], 1) : (points[0], 0) }
        #expect(Self.failures(reports) == [])
        let complete = Self.complete(reports)
        #expect(complete.map(\.anchor) == [line.anchor(1)] && complete.allSatisfy { $0.root == nil })
    }

    @Test func sectionsOfOneAnchorMakeUpItsRoot() throws {
        let line = try Line()
        let point = line.headers[8].point
        let reports = try line.reports { _ in (point, 1) }
        #expect(Self.failures(reports) == [])
        #expect(Self.complete(reports).map(\.root) == [line.headers[8].header.stateRoot])
    }

    /// A section is not what the header says: nothing is complete then, and nothing verified.
    @Test func anotherRootIsTold() throws {
        let line = try Line()
        let point = line.headers[8].point
        let reports = try line.reports { (point, $0 == 3 ? 0 : 1) }
        #expect(Self.failures(reports).count == 1)
        #expect(Self.complete(reports).isEmpty)
        #expect(!reports.contains { if case .verified = $0 { true } else { false } })
    }

    /// A heavier line has taken the place of the block at which everything was held.
    @Test func anAnchorThatNothingVouchesForIsNoDamage() throws {
        let line = try Line()
        let reports = try line.reports { _ in (StatePoint(number: 8, hash: .max), 2) }
        #expect(Self.failures(reports) == [])
        #expect(Self.complete(reports).isEmpty)
    }
}
