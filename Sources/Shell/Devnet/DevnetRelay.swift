import Foundation
import Primitives
import Synchronization

/// A UDP relay between all nodes of a devnet, so that one of them can have a slow line. Every node listens at an
/// address that only the relay knows, and tells the others the address of a socket of the relay's. A datagram for a
/// node comes to that node's socket, and is handed on from the socket of its sender: nobody sees that there is a
/// relay.
///
///     node A ──▶ socket of B │ relay │ socket of A ──▶ node B
///
/// Datagrams of anybody else are dropped: the relay has no socket that could answer for them.
final class DevnetRelay: Sendable {
    /// Where a node is.
    struct Place: Sendable {
        /// Where it listens.
        let inside: Endpoint
        /// What it tells others.
        var outside: Endpoint { socket.local }
        fileprivate let socket: PlainSocket
    }

    /// A datagram on a slow line.
    private struct Parcel: Sendable {
        let bytes: [UInt8]
        let from: Int
        let to: Int
    }

    let places: [Place]
    /// The node with the slow line.
    private let slow: Int
    private let clock = SystemClock()
    /// Both ways of the slow line: to the node, and from it.
    private let lines: Mutex<(toward: LineQueue, away: LineQueue)>
    private let belated = BelatedQueue<Parcel>()
    private let isClosed = Mutex(false)
    private let threads = ThreadGroup()

    /// How often a socket looks whether the relay ends.
    private static let look = Interval.milliseconds(50)

    /// A relay for so many nodes on 127.0.0.1, of which the one at `slow` has a line of this shape. The same seed loses
    /// the same packets, if they come in the same order.
    init(nodes: Int, slow: Int, _ shape: LineShape, seed: UInt64) throws(ShellError) {
        var places: [Place] = []
        for _ in 0..<nodes {
            let any = Endpoint(ipv4: (127, 0, 0, 1), port: 0)
            let socket = try PlainSocket(binding: any)
            // A port that the system has just found free, and gives to nobody else so soon.
            let inside = try PlainSocket(binding: any).local
            places.append(Place(inside: inside, socket: socket))
        }
        self.places = places
        self.slow = slow
        lines = Mutex((LineQueue(shape, seed: seed), LineQueue(shape, seed: ~seed)))
    }

    /// Begins to hand on.
    func start() {
        for index in places.indices {
            threads.start(1, name: "relay") { [self] in
                while !isClosed.withLock({ $0 }) { handOn(index) }
            }
        }
        threads.start(1, name: "relay-line") { [self] in
            while let parcel = belated.next(clock) { send(parcel) }
        }
    }

    /// Ends it and waits for its threads.
    func stop() {
        isClosed.withLock { $0 = true }
        belated.close()
        threads.join()
    }

    /// Takes the next datagram for a node.
    private func handOn(_ target: Int) {
        guard let (bytes, source) = places[target].socket.receive(within: DevnetRelay.look),
            let sender = places.firstIndex(where: { $0.inside == source })
        else { return }
        let parcel = Parcel(bytes: bytes, from: sender, to: target)
        guard sender == slow || target == slow else { return send(parcel) }
        let now = clock.instant()
        let arrival = lines.withLock { lines in
            sender == slow
                ? lines.away.arrival(of: bytes.count, at: now) : lines.toward.arrival(of: bytes.count, at: now)
        }
        if let arrival { belated.add(parcel, at: arrival) }
    }

    private func send(_ parcel: Parcel) {
        places[parcel.from].socket.send(parcel.bytes, to: places[parcel.to].inside)
    }
}

/// Things that are due later, taken by one thread that sleeps until then.
private final class BelatedQueue<Element: Sendable>: @unchecked Sendable {
    // `condition` guards the fields below.
    private let condition = NSCondition()
    private var queue = TimerQueue<Element>()
    private var isClosed = false

    func add(_ element: Element, at time: Instant) {
        condition.lock()
        queue.add(element, at: time)
        condition.signal()
        condition.unlock()
    }

    /// The next that is due, at its time; nil once it is closed.
    func next(_ clock: SystemClock) -> Element? {
        condition.lock()
        defer { condition.unlock() }
        while !isClosed {
            guard let due = queue.earliest else {
                condition.wait()
                continue
            }
            let now = clock.instant()
            if due <= now { return queue.next()?.event }
            _ = condition.wait(until: Date(timeIntervalSinceNow: (due - now).seconds))
        }
        return nil
    }

    func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }
}
