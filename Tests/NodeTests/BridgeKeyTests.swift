import Chain
import Primitives
import Testing

@testable import Node

@Suite("A bridge's keys") struct BridgeKeyTests {
    private func begin(with seeds: [[UInt8]]) throws -> Node {
        var configuration = try Bench.configuration(.bridge)
        configuration.attestingSeeds = seeds
        return try Node(
            configuration: configuration, stored: StoredState(), entropy: Entropy(seed: .zero),
            at: Moment(instant: .zero, unixSeconds: 1_800_000_000))
    }

    @Test func aSeedThatIsNoneIsNamedAndNothingBegins() throws {
        let good = [UInt8](repeating: 7, count: 32)
        #expect(try begin(with: [good]).bridge?.keys.count == 1)
        #expect(throws: NodeError.attestingSeed(index: 1)) { try begin(with: [good, [1, 2, 3]]) }
        #expect(throws: NodeError.attestingSeed(index: 0)) { try begin(with: [[]]) }
        let strange = [UInt8](repeating: 8, count: 32)
        let key = try #require(Bytes32(strange).flatMap { AttestingKey(seed: $0) }).publicKey
        #expect(throws: NodeError.attestingKeyNotOfNetwork(index: 1, key: key)) { try begin(with: [good, strange]) }
        let own = try #require(Bytes32(good).flatMap { AttestingKey(seed: $0) }).publicKey
        #expect(throws: NodeError.attestingKeyTwice(index: 1, key: own)) { try begin(with: [good, good]) }
    }
}
