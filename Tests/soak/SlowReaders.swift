import Chain
import Discovery
import Foundation
import Overlay
import Primitives
import Shell
import StateContent
import StateNetwork
import StateStore

/// What readers that take next to nothing cost a holder, on real sockets: its memory, and the time that another one's
/// ranges take.
struct SlowReaders {
    static let usage = "soak slow-readers ENR PID: a holder of the whole ring on this machine, and its process"
    /// The attack: so many identities on one address, each with as many requests open as it may have.
    private static let identities = 16
    private static let mebibyte = 1 << 20
    /// Bounds: peak, and ten seconds after; how much longer another's ranges may take.
    private static let peakBytes = 300 * mebibyte, restBytes = 250 * mebibyte, slowdown = 2.0

    private let holder: NodeRecord
    private let process: Int32

    init?(_ words: [String]) {
        guard words.count == 2, let record = try? NodeRecord(text: words[0]), let process = Int32(words[1]) else {
            return nil
        }
        holder = record
        self.process = process
    }

    func run() throws -> Bool {
        let honest = try RangeReader(holder, isSlow: false)
        let calm = Log()
        honest.run(for: .seconds(15), into: calm)
        let before = residentBytes()
        let slow = try (0..<SlowReaders.identities).map { _ in try RangeReader(holder, isSlow: true) }
        let attacked = Log()
        let done = DispatchGroup()
        for reader in slow + [honest] {
            let log = reader === honest ? attacked : Log()
            Thread.detachNewThread(in: done) { reader.run(for: .seconds(30), into: log) }
        }
        var peak = before
        while done.wait(timeout: .now() + .milliseconds(50)) == .timedOut { peak = max(peak, residentBytes()) }
        Thread.sleep(forTimeInterval: 10)
        let after = residentBytes()
        let (quiet, loud) = (calm.summary, attacked.summary)
        print("memory: \(text(before)) before, \(text(peak)) at most, \(text(after)) ten seconds after")
        print("another's ranges: \(quiet) undisturbed; \(loud) under attack")
        return peak <= SlowReaders.peakBytes && after <= SlowReaders.restBytes && loud.failures == 0
            && loud.percentile95 <= SlowReaders.slowdown * quiet.percentile95
    }

    private func text(_ bytes: Int) -> String { "\(bytes / SlowReaders.mebibyte) MiB" }

    private func residentBytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let kibibytes = line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
        return kibibytes << 10
    }
}

extension Thread {
    fileprivate static func detachNewThread(in group: DispatchGroup, _ body: @escaping @Sendable () -> Void) {
        group.enter()
        detachNewThread {
            body()
            group.leave()
        }
    }
}

/// How long requests took.
private final class Log: @unchecked Sendable {
    // `lock` guards the others.
    private let lock = NSLock()
    private var seconds: [Double] = []
    private var failures = 0

    func add(_ time: Double?) {
        lock.withLock { if let time { seconds.append(time) } else { failures += 1 } }
    }

    struct Summary: CustomStringConvertible {
        let count: Int, failures: Int
        let median: Double, percentile95: Double

        var description: String {
            String(format: "%d, median %.3f s, p95 %.3f s, %d failed", count, median, percentile95, failures)
        }
    }

    var summary: Summary {
        lock.withLock {
            let sorted = seconds.sorted()
            func share(_ part: Double) -> Double {
                sorted.isEmpty ? .infinity : sorted[min(Int(part * Double(sorted.count)), sorted.count - 1)]
            }
            return Summary(count: sorted.count, failures: failures, median: share(0.5), percentile95: share(0.95))
        }
    }
}

/// A node of the Portal wire that asks one holder for ranges, and nothing else. Used by one thread at a time.
private final class RangeReader: @unchecked Sendable {
    private let socket: PlainSocket
    private var overlay: Overlay
    private let clock = SystemClock()
    private let holder: NodeRecord
    /// Whether it keeps all its slots busy and lets one large datagram in every four seconds.
    private let isSlow: Bool
    private var nextLarge = Instant.zero
    /// The newest anchor that the holder serves.
    private var anchor: Anchor?
    private var open: [Overlay.RequestID: Instant] = [:]

    init(_ holder: NodeRecord, isSlow: Bool) throws {
        self.holder = holder
        self.isSlow = isSlow
        socket = try PlainSocket(binding: .loopback(port: 0))
        var entropy = SystemEntropy.make()
        var configuration = OverlayConfiguration(
            chainID: holder.portal?.chainID ?? 0,
            networks: [OverlayConfiguration.Network(id: .state, extensionType: StatePingPayload.type)])
        configuration.endpoint = socket.local
        overlay = try Overlay(
            key: IdentityKey(from: &entropy), configuration: configuration,
            entropy: Entropy(seed: entropy.bytes32()))
        overlay.addBootNodes([holder], at: clock.instant())
    }

    func run(for time: Interval, into log: Log) {
        let end = clock.instant() + time
        while clock.instant() < end {
            ask()
            for directive in overlay.drain() { handle(directive, log) }
            let now = clock.instant()
            let wait = min(overlay.nextDeadline ?? end, now + .milliseconds(20))
            if let (bytes, source) = socket.receive(within: wait > now ? wait - now : .zero), mayPass(bytes.count) {
                overlay.receive(bytes, from: source, at: clock.instant())
            }
            overlay.advance(to: clock.instant())
        }
        for request in open.keys { overlay.cancel(request, at: clock.instant()) }
        open = [:]
        for directive in overlay.drain() { handle(directive, log) }
    }

    private func mayPass(_ bytes: Int) -> Bool {
        guard isSlow, anchor != nil, bytes > 700 else { return true }
        guard clock.instant() >= nextLarge else { return false }
        nextLarge = clock.instant() + .seconds(4)
        return true
    }

    private func ask() {
        guard let anchor else { return }
        while open.count < (isSlow ? OverlayLimits.servedContentsPerPeer : 1) {
            let origin = Cursor(account: Bytes32(UInt64.random(in: 0...(.max)) >> 1, 0, 0, 0))
            let size: UInt32 = isSlow ? 32 << 20 : 1 << 20
            let limit = Cursor(account: .max)
            guard let key = RangeKey(anchor: anchor, origin: origin, limit: limit, maxBytes: size) else { return }
            let now = clock.instant()
            let request = overlay.findContent(
                network: .state, peer: holder.id, key: StateContentKey.range(key).encoded, limit: Int(size),
                timeout: .seconds(30), at: now)
            open[request] = now
        }
    }

    private func handle(_ directive: Overlay.Directive, _ log: Log) {
        switch directive {
        case .send(let bytes, let target): socket.send(bytes, to: target)
        case .peerUpdated(_, let info):
            guard info.id == holder.id, let payload = info.lastExtension?.payload,
                let told = try? StatePingPayload(decoding: payload)
            else { return }
            anchor = told.served.last?.anchor ?? anchor
        case .contentAnswered(let request, let result, _):
            guard let began = open.removeValue(forKey: request) else { return }
            if case .success(.content(let bytes)) = result, bytes.first == 0 {
                log.add((clock.instant() - began).seconds)
            } else if case .success(.content(let bytes)) = result, bytes.first == 1 {
                // The anchor has just been left behind.
            } else {
                log.add(nil)
            }
        default: break
        }
    }
}
