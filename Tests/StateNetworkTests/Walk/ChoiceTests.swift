import Discovery
import func Glibc.pow
import Primitives
import StateStore
import Testing

@testable import Overlay
@testable import StateNetwork

/// A walk in virtual time among holders of every kind, the planner and the peer book as they are.
@Suite("Whom a lane asks") struct ChoiceTests {
    /// How a holder behaves.
    private struct Holder {
        let roundTrip: Interval
        let bytesPerSecond: Double
        /// Answers PINGs, and nothing else.
        let fails: Bool
        /// Its line is taken until then.
        var busyUntil = Instant.zero
        var inFlight = 0
        var asked = 0
    }

    /// A choice that knows nothing: each as likely as the others.
    private struct Lottery: PeerChooser {
        var generator = SeededGenerator(seed: 5)
        mutating func choose(
            among candidates: [AskCandidate], bytes: Int, at now: Instant
        ) -> Bytes32? {
            candidates.sorted { $0.id < $1.id }.randomElement(using: &generator)?.id
        }
    }

    /// The peer book, told of each answer as the wire tells it.
    private struct Book: PeerChooser {
        var overlay: Overlay
        mutating func choose(
            among candidates: [AskCandidate], bytes: Int, at now: Instant
        ) -> Bytes32? {
            overlay.choose(network: .state, among: candidates, bytes: bytes, at: now)
        }
    }

    private static let rangeBytes = 100_000
    private static let rangesPerSection = 20
    private static let timeout = Interval.seconds(32)

    private static func id(_ number: Int) -> Bytes32 { Walk.id(UInt64(number + 1)) }

    private static func overlay() throws -> Overlay {
        var entropy = Entropy(seed: Bytes32(0, 0, 0, 3))
        let configuration = OverlayConfiguration(chainID: 1, networks: [.init(id: .state)])
        return try Overlay(key: IdentityKey(from: &entropy), configuration: configuration, entropy: entropy)
    }

    /// Fast ones, slow ones and failing ones, in turn.
    private static func holders(fast: Int, slow: Int, failing: Int) -> [Holder] {
        let quick = Holder(roundTrip: .milliseconds(20), bytesPerSecond: 2e6, fails: false)
        let lame = Holder(roundTrip: .milliseconds(200), bytesPerSecond: 40_000, fails: false)
        let mute = Holder(roundTrip: .milliseconds(5), bytesPerSecond: 2e6, fails: true)
        return [Holder](repeating: mute, count: failing) + [Holder](repeating: lame, count: slow)
            + [Holder](repeating: quick, count: fast)
    }

    /// Walks 16 sections of 20 ranges each; when that is done, and how often each holder was asked.
    private func walk<Chooser: PeerChooser>(
        _ given: [Holder], by chooser: inout Chooser, learning: (inout Chooser, Int, Holder, Interval, Bool) -> Void
    ) throws -> (seconds: Double, holders: [Holder]) {
        var holders = given
        var walk = Walk(lanes: 8)
        for number in holders.indices { walk.peer(UInt64(number + 1), [0]) }
        walk.advance(to: Walk.anchor(0))
        walk.store(crownOf: Walk.anchor(0))
        var ends: [(at: Instant, asked: Instant, assignment: Operation)] = []
        var fetched = [Int](repeating: 0, count: 16)
        // The range that each section waits for.
        var current: [Int: WalkTask] = [:]
        while walk.holdings.completeAnchor == nil {
            for assignment in walk.plan(choosing: &chooser).asked {
                let number = Int(try #require(assignment.peer.flatMap { Walk.number(of: $0) })) - 1
                holders[number].asked += 1
                if let task = assignment.task, let section = task.subject { current[section] = task }
                holders[number].inFlight += 1
                let start = max(holders[number].busyUntil, walk.now)
                let transfer = Double(Self.rangeBytes) / holders[number].bytesPerSecond * 1e6
                let end = start + Interval(microseconds: UInt64(transfer))
                holders[number].busyUntil = end
                ends.append(
                    (
                        holders[number].fails ? walk.now + Self.timeout : end + holders[number].roundTrip, walk.now,
                        assignment
                    ))
            }
            let deadline = walk.planner.nextDeadline
            let next = ends.indices.min { ends[$0].at < ends[$1].at }
            guard let next, ends[next].at <= deadline ?? ends[next].at else {
                walk.now = try #require(deadline)
                continue
            }
            let (time, asked, assignment) = ends.remove(at: next)
            walk.now = max(walk.now, time)
            let number = Int(try #require(assignment.peer.flatMap { Walk.number(of: $0) })) - 1
            learning(&chooser, number, holders[number], walk.now - asked, !holders[number].fails)
            holders[number].inFlight -= 1
            guard !holders[number].fails, case .range(let section, let anchor, _, _, _)? = assignment.task else {
                walk.finish(assignment, .failed)
                continue
            }
            // Of a range that two were asked for the second answer brings nothing.
            guard assignment.task == current[section] else {
                walk.finish(assignment, .aborted)
                continue
            }
            current[section] = nil
            fetched[section] += 1
            let position = Cursor(account: Bytes32(UInt64(section) << 60 | UInt64(fetched[section]) << 32, 0, 0, 0))
            walk.hold(
                section,
                fetched[section] == Self.rangesPerSection
                    ? .complete(anchor: anchor) : .partial(anchor: anchor, next: position))
            walk.finish(assignment, .done(bytes: Self.rangeBytes))
        }
        return (Double(walk.now.microseconds) / 1e6, holders)
    }

    private func walkByBook(_ holders: [Holder]) throws -> (seconds: Double, holders: [Holder]) {
        var book = Book(overlay: try Self.overlay())
        for (number, holder) in holders.enumerated() {
            book.overlay.wire.book.measured(holder.roundTrip, \.roundTrip, of: Self.id(number), at: .zero)
        }
        return try walk(holders, by: &book) { book, number, holder, duration, succeeded in
            let (id, now) = (Self.id(number), Instant.zero + duration)
            if succeeded {
                book.overlay.wire.book.succeeded(id, at: now)
                book.overlay.wire.book.measured(holder.roundTrip, \.answerTime, of: id, at: now)
                book.overlay.wire.book.measured(bytes: Self.rangeBytes * holder.inFlight, in: duration, of: id, at: now)
            } else {
                book.overlay.wire.book.failed(id, silent: false, at: now)
                book.overlay.wire.book.measured(duration, \.failureTime, of: id, at: now)
            }
        }
    }

    @Test func theTimeFallsAndTheSlowAreStillTried() throws {
        let holders = Self.holders(fast: 4, slow: 4, failing: 2)
        var lottery = Lottery()
        let blind = try walk(holders, by: &lottery) { _, _, _, _, _ in }
        let known = try walkByBook(holders)
        let best = try walkByBook(Self.holders(fast: 4, slow: 0, failing: 0))
        let asked = known.holders.map(\.asked)
        print("blind \(blind.seconds) s, by the book \(known.seconds) s, fast alone \(best.seconds) s, asked \(asked)")
        #expect(known.seconds < blind.seconds && known.seconds < 2 * best.seconds)
        let total = asked.reduce(0, +)
        let (failing, slow, fast) = (asked[0..<2], asked[2..<6], asked[6...])
        #expect(fast.reduce(0, +) * 10 > total * 8, "most is asked of the fast: \(asked)")
        #expect(slow.allSatisfy { $0 >= 2 }, "a slow one may have become better: \(asked)")
        #expect(failing.allSatisfy { $0 >= 1 } && failing.reduce(0, +) * 10 < total, "\(asked)")
        #expect(fast.max() ?? 0 < 4 * (fast.min() ?? 0), "none of the fast carries it alone: \(asked)")
    }

    /// Forty holders with lines of every kind: from 20 KB/s to 5 MB/s and from 5 to 300 ms, evenly by their logarithms;
    /// three of them answer nothing. The walk by the peer book, against one that asks at random.
    @Test(arguments: [UInt64(1), 2, 3, 4, 5])
    func amongFortyHoldersWithUnequalLines(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        func between(_ low: Double, _ high: Double) -> Double {
            low * pow(high / low, Double.random(in: 0...1, using: &generator))
        }
        let holders = (0..<40).map { number in
            Holder(
                roundTrip: Interval(microseconds: UInt64(between(5, 300) * 1_000)),
                bytesPerSecond: between(20_000, 5e6), fails: number < 3)
        }
        var lottery = Lottery(generator: SeededGenerator(seed: seed))
        let blind = try walk(holders, by: &lottery) { _, _, _, _, _ in }
        let known = try walkByBook(holders)
        let rates = holders.filter { !$0.fails }.reduce(0) { $0 + $1.bytesPerSecond }
        let least = Double(16 * Self.rangesPerSection * Self.rangeBytes) / rates
        print(
            "seed \(seed): 40 holders, at random \(blind.seconds) s, by the book \(known.seconds) s; "
                + "all lines full all the time \(least) s")
        // A request that nobody answers runs for half a minute, and no walk does.
        #expect(known.seconds * 1.3 < blind.seconds && known.seconds < 22)
        #expect(known.holders.count { $0.asked > 0 } >= 30, "nearly all were tried")
    }

    @Test func oneThatBecomesQuickIsFoundAgain() throws {
        var book = Book(overlay: try Self.overlay())
        let (steady, changing) = (Self.id(0), Self.id(1))
        func answer(_ id: Bytes32, _ bytesPerSecond: Double) {
            book.overlay.wire.book.succeeded(id, at: .zero)
            book.overlay.wire.book.measured(.milliseconds(20), \.answerTime, of: id, at: .zero)
            let time = Interval(microseconds: UInt64(Double(Self.rangeBytes) / bytesPerSecond * 1e6))
            book.overlay.wire.book.measured(bytes: Self.rangeBytes, in: time, of: id, at: .zero)
        }
        for _ in 0..<8 {
            answer(steady, 400_000)
            answer(changing, 10_000)
        }
        var now = Instant.zero
        var chosen: [Bytes32] = []
        for round in 0..<400 {
            now = now + .milliseconds(100)
            let id = book.choose(
                among: [AskCandidate(id: steady, load: 0), AskCandidate(id: changing, load: 0)], bytes: Self.rangeBytes,
                at: now)
            chosen.append(try #require(id))
            answer(chosen[round], chosen[round] == changing ? (round < 200 ? 10_000 : 4e6) : 400_000)
        }
        #expect((1...25).contains(chosen.prefix(200).count { $0 == changing }))
        #expect(chosen.suffix(100).count { $0 == changing } >= 85)
    }
}
