import Chain
import Primitives
import Testing

struct EpochTests {
    private let epochs = Epochs(length: 8)

    @Test func everyBlockLiesInOneEpochThatBeginsAtOrBelowIt() throws {
        for number in UInt64(0)..<40 {
            let boundary = try #require(epochs.boundary(of: epochs.epoch(of: number)))
            #expect(epochs.isBoundary(boundary) && boundary <= number && number < boundary + 8)
            #expect(epochs.isBoundary(number) == (boundary == number))
        }
    }

    @Test func theBoundariesBesideABlock() {
        #expect(epochs.boundary(before: 0) == nil && epochs.boundary(before: 1) == 0)
        #expect(epochs.boundary(before: 8) == 0 && epochs.boundary(before: 9) == 8)
        #expect(epochs.boundary(after: 0) == 8 && epochs.boundary(after: 7) == 8 && epochs.boundary(after: 8) == 16)
    }

    @Test func thereIsNoBoundaryBeyondTheNumbers() {
        #expect(epochs.boundary(of: .max) == nil && epochs.point(of: Anchor(epoch: .max, hash: .zero)) == nil)
        #expect(epochs.boundary(after: .max) == nil)
        #expect(epochs.boundary(before: .max) == UInt64.max - 7)
        #expect(Epochs(length: 1).boundary(after: .max) == nil)
    }

    @Test func anAnchorIsItsBoundaryBlock() {
        let point = StatePoint(number: 24, hash: Bytes32(1, 2, 3, 4))
        #expect(epochs.anchor(at: point) == Anchor(epoch: 3, hash: point.hash))
        #expect(epochs.point(of: epochs.anchor(at: point)) == point)
    }
}
