import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Overlay

/// What one target lets grow and another sends has one limit.
@Suite struct KeySizeTests {
    @Test func everyKeyThatIsAKeyCanBeAskedFor() {
        #expect(StateContentLimits.keyBytes == OverlayLimits.askedKeyBytes)
    }

    /// The only keys without a bound of their own: as many places as fit, of any length, and not one more.
    @Test(arguments: [UInt64(1), 2, 3])
    func placesAreAskedForUpToTheByte(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var longest = 0
        for round in 0..<400 {
            // Shorter and longer paths, so that the last place ends at every byte there is.
            let nibbles = 1 + round % 40
            let places = (0..<120).map { _ in
                let key = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
                let path = Nibbles(key).prefix(nibbles + Int(generator.next() % 3))
                return StatePlace(account: path, storage: generator.next() % 4 == 0 ? path : nil)
            }
            let ordered = Array(Set(places)).sorted()
            let count = SubtreesKey.fitting(ordered)
            func bytes(_ count: Int) throws -> Int {
                let key = SubtreesKey(
                    anchor: Anchor(epoch: 1, hash: .max), places: Array(ordered.prefix(count)), levels: 1, maxBytes: 9)
                return StateContentKey.subtrees(try #require(key)).encoded.count
            }
            let size = try bytes(count)
            #expect(size <= OverlayLimits.askedKeyBytes)
            longest = max(longest, size)
            if count < ordered.count { #expect(try bytes(count + 1) > OverlayLimits.askedKeyBytes) }
        }
        #expect(longest == OverlayLimits.askedKeyBytes)
    }
}
