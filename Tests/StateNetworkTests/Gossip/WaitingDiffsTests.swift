import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

@Suite("Diffs that wait: who may have how much room") struct WaitingDiffsTests {
    private func key(_ section: Int, _ number: UInt64) -> BlockDiffKey {
        BlockDiffKey(point: Ring.point(number), section: section)
    }

    private func sender(_ number: UInt64) -> Bytes32 { Bytes32(0, 0, 1, number) }

    @Test func whatWaitsIsBoundedInBytes() {
        var holdings = Ring.shelf()
        let all = StateNetworkLimits.pendingDiffBytes
        holdings.enqueue(Ring.diff(0, Ring.point(1), from: 0, bytes: all))
        #expect(holdings.pendingBytes == all)
        holdings.enqueue(Ring.diff(1, Ring.point(1), from: 0, bytes: 1))
        #expect(holdings.pendingBytes == all && holdings.waiting == [0], "one that does not fit is not taken")
        check(holdings.lock(0))
        check(holdings.committed(Ring.layer(0, Ring.point(1), from: 0, to: 1), replacing: false))
        holdings.unlock(0)
        check(holdings.nextDiff(of: 0, at: .zero, isCanonical: { _ in true }) == nil)
        #expect(holdings.pendingBytes == 0 && holdings.waiting.isEmpty)
    }

    @Test func madeUpOnesHaveRoomOfTheirOwn() {
        var holdings = Ring.shelf()
        let share = StateNetworkLimits.unvouchedDiffBytesPerSender
        func enqueue(_ section: Int, _ number: UInt64, bytes: Int, of sender: UInt64) {
            holdings.enqueue(
                Ring.diff(
                    section, Ring.point(number), from: 0, bytes: bytes, sender: self.sender(sender), isVouched: false))
        }
        enqueue(0, 1, bytes: share, of: 1)
        enqueue(1, 1, bytes: 1, of: 1)
        #expect(holdings.pendingBytes == share && holdings.waiting == [0], "a sender's share in bytes")
        for number in 2...UInt64(StateNetworkLimits.unvouchedDiffBytes / share) {
            enqueue(Int(number), 1, bytes: share, of: number)
        }
        enqueue(15, 1, bytes: 1, of: 99)
        #expect(holdings.pendingBytes == StateNetworkLimits.unvouchedDiffBytes, "all of it is taken")
        holdings.enqueue(Ring.diff(0, Ring.point(2), from: 0, bytes: StateNetworkLimits.pendingDiffBytes))
        #expect(holdings.pendingBytes == StateNetworkLimits.unvouchedDiffBytes + StateNetworkLimits.pendingDiffBytes)
    }

    @Test func placesInASectionAreSharedOut() throws {
        var holdings = Ring.shelf()
        for number in UInt64(1)...10 {
            holdings.enqueue(Ring.diff(3, Ring.point(number), from: 0, sender: sender(1), isVouched: false))
        }
        #expect(holdings.pending.of(3).count == StateNetworkLimits.unvouchedDiffsPerSender)
        #expect(holdings.admission(of: key(3, 40), from: sender(1), isCanonical: nil) == .busy)
        #expect(holdings.admission(of: key(3, 40), from: sender(1), isCanonical: true) == .wanted)
        #expect(holdings.admission(of: key(3, 40), from: sender(2), isCanonical: nil) == .wanted)
        for number in UInt64(11)...60 {
            holdings.enqueue(Ring.diff(3, Ring.point(number), from: 0, sender: sender(number), isVouched: false))
        }
        #expect(holdings.pending.of(3).count == StateNetworkLimits.unvouchedDiffsPerSection)
        #expect(holdings.admission(of: key(3, 70), from: sender(70), isCanonical: nil) == .wanted, "it may be true")
    }

    /// Those that nobody attested in time are noted with their senders, and only they.
    @Test func whoSentThemInVainIsNoted() {
        var holdings = Ring.shelf()
        holdings.enqueue(Ring.diff(3, Ring.point(5), from: 0, sender: sender(1), isVouched: false))
        holdings.enqueue(Ring.diff(3, Ring.point(6), from: 0, sender: sender(2), isVouched: true))
        let soon = Instant.zero + StateNetworkLimits.unknownHeaderWait
        _ = holdings.nextDiff(of: 3, at: soon) { _ in nil }
        check(holdings.takeSendersInVain() == [])
        _ = holdings.nextDiff(of: 3, at: soon + .milliseconds(1)) { _ in nil }
        check(holdings.takeSendersInVain() == [sender(1)])
        #expect(holdings.waiting.isEmpty)
        check(holdings.takeSendersInVain() == [])
    }

    /// A block is one mistake, however many sections its diffs are of.
    @Test func aBlockCountsOnce() {
        var holdings = Ring.shelf()
        for section in 0..<16 {
            holdings.enqueue(Ring.diff(section, Ring.point(5), from: 0, sender: sender(1), isVouched: false))
        }
        for section in 0..<16 { _ = holdings.nextDiff(of: section, at: .zero) { _ in false } }
        check(holdings.takeSendersInVain() == [sender(1)])
    }
}
