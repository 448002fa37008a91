import Foundation
import Simulation
import UTPLab

// What takes longer than a test, in virtual time: the transport's whole matrix, and rings of many nodes. tools/soak
// builds and runs it.
//
//   soak [SEEDS]          every point under so many seeds (default 2), the time at 10 % loss under at least 200, the
//                         long transfers, a long fat path and two hosts at one bottleneck
//   soak SEEDS PART       only `loss`, `fat` or `fair` of these
//   soak --replay WORDS   one point, in the words that were printed
//   soak directory         the memory of a bridge's directory of holders
//   soak slow-readers ENR PID   what readers that take next to nothing cost a holder
//   soak kills [SEED [SCENE [VICTIM]]]  simulated networks whose nodes are killed at every write, one kill a run
//   soak liars [SEEDS]     a client's walk where half of the holders lie and every fifth packet is lost
//   soak headers [COUNT]   what a start costs over a store of so many headers (default 200,000)
//   soak blocks [CHANGES]  what blocks of so many changes (default 2,000) over 4,096 sections cost holders
//   soak ring GROUPS [OPTIONS], as in: soak ring 16x1/16+64x1/256 depth=2 seed=1 latency=50 loss=1
//                         so many holders of 2^EXPONENT keys each, a bridge and a client; DEPTH: 16^DEPTH sections

/// What the runs of one share of lost packets came to.
struct PointCounts {
    var exact = 0
    var errors = 0
    var bad: [String] = []
    /// Sent for each packet needed, of transfers of many packets.
    var sent = 0
    var needed = 0
}

func say(_ point: Point, _ outcome: Point.Outcome) {
    print(
        "\(point): \(outcome.verdict) after \(String(format: "%.3f", outcome.seconds)) s of virtual time, "
            + "\(outcome.packets) packets for \(outcome.needed)")
}

/// Runs `points` on all cores, in an order that does not matter, and gives their outcomes in the order of the points.
func runAll(_ points: [Point]) throws -> [Point.Outcome] { try inParallel(points) { try $0.run() } }

func inParallel<Input: Sendable, Output: Sendable>(
    _ inputs: [Input], _ work: @Sendable (Input) throws -> Output
) throws -> [Output] {
    let outcomes = Outcomes<Output>(inputs.count)
    DispatchQueue.concurrentPerform(iterations: inputs.count) { index in
        do { outcomes.set(index, try work(inputs[index])) } catch { outcomes.fail("\(inputs[index]): \(error)") }
    }
    return try outcomes.all()
}

final class Outcomes<Outcome: Sendable>: @unchecked Sendable {
    // `lock` guards the others.
    private let lock = NSLock()
    private var outcomes: [Outcome?]
    private var failure: String?

    init(_ count: Int) { outcomes = Array(repeating: nil, count: count) }

    func set(_ index: Int, _ outcome: Outcome) { lock.withLock { outcomes[index] = outcome } }
    func fail(_ reason: String) { lock.withLock { failure = failure ?? reason } }

    struct Failure: Error { let reason: String }

    func all() throws -> [Outcome] {
        try lock.withLock {
            if let failure { throw Failure(reason: failure) }
            return outcomes.compactMap { $0 }
        }
    }
}

func soakMatrix(seeds: UInt64) throws -> Bool {
    var tallies: [Int: PointCounts] = [:]
    var slow: [(point: Point, outcome: Point.Outcome)] = []
    for seed in 1...max(seeds, 1) {
        let points = Point.all(seed: seed)
        for (point, outcome) in zip(points, try runAll(points)) {
            switch outcome.verdict {
            case .exact:
                tallies[point.loss, default: PointCounts()].exact += 1
                // Round trips needed, so that far and near ones compare.
                if point.size > 0 { slow.append((point, outcome)) }
            case .error: tallies[point.loss, default: PointCounts()].errors += 1
            case .wrong, .hangs: tallies[point.loss, default: PointCounts()].bad.append("\(point): \(outcome.verdict)")
            }
            tallies[point.loss]?.sent += outcome.packets
            tallies[point.loss]?.needed += outcome.needed
        }
        slow.sort { roundTrips($0) > roundTrips($1) }
        slow = Array(slow.prefix(5))
    }
    print("loss    exact   errors   wrong or hanging   packets sent for each needed")
    for (loss, tally) in tallies.sorted(by: { $0.key < $1.key }) {
        let ratio = String(format: "%.2f", Double(tally.sent) / Double(max(tally.needed, 1)))
        print(
            "\(loss) %".padded(8) + "\(tally.exact)".padded(8) + "\(tally.errors)".padded(9)
                + "\(tally.bad.count)".padded(19) + ratio)
        for line in tally.bad { print("  \(line)") }
    }
    print("the slowest, by round trips:")
    for entry in slow {
        print("  \(String(format: "%.0f", roundTrips(entry))) round trips, ", terminator: "")
        say(entry.point, entry.outcome)
    }
    return tallies.values.allSatisfy { $0.bad.isEmpty }
}

func roundTrips(_ entry: (point: Point, outcome: Point.Outcome)) -> Double {
    entry.outcome.seconds * 1_000 / Double(2 * max(entry.point.delay, 1))
}

func soakLong() throws -> Bool {
    print("160 MiB, sequence numbers wrap twice:")
    let outcomes = try runAll(Point.long)
    for (point, outcome) in zip(Point.long, outcomes) { say(point, outcome) }
    return outcomes.allSatisfy { $0.verdict == .exact }
}

/// Time at 10 % loss over that without, 50 ms.
func soakTenPercent(seeds: UInt64) throws -> Bool {
    var isGood = true
    for (size, known) in [16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20].flatMap({ [($0, 0), ($0, 1)] }) {
        var point = Point()
        (point.delay, point.size, point.known) = (50, size, known)
        // Even seeds have the connecting end send, odd ones the accepting: half a round trip apart.
        let clean = try [0, 1].map { (seed: UInt64) in
            point.seed = seed
            return try point.run().seconds
        }
        let lossy = (1...seeds).map { seed in
            var point = point
            (point.loss, point.seed) = (10, seed)
            return point
        }
        let outcomes = try zip(lossy, runAll(lossy)).map { (point: $0, ratio: $1.seconds / clean[Int($0.seed % 2)]) }
            .sorted { $0.ratio < $1.ratio }
        func share(_ part: Double) -> Double { outcomes[Int(part * Double(outcomes.count - 1))].ratio }
        guard let worst = outcomes.last else { return false }
        // What is smaller is a matter of single packets; what is unknown is found out by timeouts.
        isGood = isGood && (worst.ratio <= 2 || size < 64 << 10 || known == 0)
        let over = outcomes.filter { $0.ratio > 2 }.count
        print(
            "\(size) bytes at 50 ms, round trip \(known > 0 ? "" : "un")known, 10 % loss, seeds 1…\(seeds), "
                + "times the loss-free \(clean) s: "
                + String(format: "median %.2f, 99 %% %.2f, worst %.2f, ", share(0.5), share(0.99), worst.ratio)
                + "\(over) over 2; the worst: \(worst.point)")
    }
    return isGood
}

/// One stream at 100 ms × 1 Gbit/s behind queues of 10, 33 and 100 ms; the last is what such links have.
func soakFatPath() throws -> Bool {
    var last = 0.0
    for queue in [1_250_000, 4 << 20, 12_500_000] {
        let (share, dropped) = try FatPath.use(queue: queue)
        print(
            "100 ms × 1 Gbit/s, queue of \(queue) bytes: "
                + String(format: "%.1f %% of the link, %d packets dropped", 100 * share, dropped))
        last = share
    }
    return last >= 0.8
}

/// Two hosts through one bottleneck, whose second begins with the first or five seconds later.
func soakFairness() throws -> Bool {
    var runs: [SharedPath] = []
    for rate in [1.25e6, 12.5e6] {
        for delay in [10, 25, 50] {
            for queue in [10, 40, 100] {
                for stagger in [0, 5] {
                    runs.append(SharedPath(rate: rate, delay: delay, queue: queue, stagger: stagger))
                }
            }
        }
    }
    let results = try inParallel(runs) { try $0.run() }
    for (run, result) in zip(runs, results) { print("\(run): \(result)") }
    let poor = results.filter { $0.index < 0.9 }.count
    print("two hosts at one bottleneck: Jain's index under 0.9 in \(poor) of \(results.count)")
    return poor * 10 <= results.count
}

extension String {
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "--replay" {
    guard let point = Point(arguments.dropFirst().joined(separator: " ")) else {
        print("no such point; its words are loss, reorder, duplication, delay, size and seed, as in loss=10")
        exit(2)
    }
    say(point, try point.run())
} else if arguments.first == "directory" {
    exit(try DirectorySize.run() ? 0 : 1)
} else if arguments.first == "slow-readers" {
    guard let attack = SlowReaders(Array(arguments.dropFirst())) else {
        print("usage: \(SlowReaders.usage)")
        exit(2)
    }
    exit(try attack.run() ? 0 : 1)
} else if arguments.first == "kills" {
    let (scene, victim) = (arguments.dropFirst(2).first, arguments.dropFirst(3).first)
    guard let seed = UInt64(arguments.dropFirst().first ?? "1"),
        scene.map({ Scenario.Scene(rawValue: $0) != nil }) ?? true,
        victim.map({ Scenario.Victim(rawValue: $0) != nil }) ?? true
    else {
        print("usage: soak kills [SEED [ring|spread|comparison|arcs|only [bridge|rival|holder|walker]]]")
        exit(2)
    }
    let isPassed = try Kills.run(
        seed: seed, in: scene.flatMap { Scenario.Scene(rawValue: $0) },
        victim.flatMap { Scenario.Victim(rawValue: $0) })
    exit(isPassed ? 0 : 1)
} else if arguments.first == "liars" {
    guard let seeds = UInt64(arguments.dropFirst().first ?? "5"), (1...1_000).contains(seeds) else {
        print("usage: soak liars [SEEDS]")
        exit(2)
    }
    exit(try LiarWalks.run(seeds: seeds) ? 0 : 1)
} else if arguments.first == "headers" {
    guard let count = Int(arguments.dropFirst().first ?? "200000"), (1...10_000_000).contains(count) else {
        print("usage: soak headers [COUNT]")
        exit(2)
    }
    exit(try Headers.run(count: count) ? 0 : 1)
} else if arguments.first == "idle" {
    exit(try Idle.run() ? 0 : 1)
} else if arguments.first == "blocks" {
    guard let changes = Int(arguments.dropFirst().first ?? "2000"), (100...20_000).contains(changes) else {
        print("usage: soak blocks [CHANGES]")
        exit(2)
    }
    exit(try Blocks.run(changes: changes) ? 0 : 1)
} else if arguments.first == "ring" {
    guard let ring = Ring(Array(arguments.dropFirst())) else {
        print("usage: \(Ring.usage)")
        exit(2)
    }
    exit(try ring.run() ? 0 : 1)
} else {
    guard let seeds = UInt64(arguments.first ?? "2") else {
        print(
            "usage: soak [SEEDS] | soak --replay WORDS | soak ring GROUPS [OPTIONS] | soak directory "
                + "| soak slow-readers ENR PID | soak kills [SEED] | soak liars [SEEDS] | soak headers [COUNT] "
                + "| soak idle | soak blocks [CHANGES]")
        exit(2)
    }
    let began = ContinuousClock.now
    let only = arguments.dropFirst().first
    var results: [Bool] = []
    if only == nil { results.append(try soakMatrix(seeds: seeds)) }
    if only == nil || only == "loss" { results.append(try soakTenPercent(seeds: max(200, seeds))) }
    if only == nil { results.append(try soakLong()) }
    if only == nil || only == "fat" { results.append(try soakFatPath()) }
    if only == nil || only == "fair" { results.append(try soakFairness()) }
    print("\(results.allSatisfy { $0 } ? "passed" : "FAILED") in \((ContinuousClock.now - began) / .seconds(1)) s")
    exit(results.allSatisfy { $0 } ? 0 : 1)
}
