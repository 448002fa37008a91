import Discovery
import Primitives

/// Which answers may be made now: memory for what peers ask, shared out among them.
///
/// Picture. An answer *waits* until it is *under way*: from then on its bytes are held, first as many as it may have at
/// most, then as many as it has, until its reader has taken them all or it is given up. Making it begins only when
/// there is room: for its peer (`answerWindow`, or one answer of any size), for its network prefix, and in all. So a
/// reader that takes nothing makes us hold one window and no more, however much it asks for.
///
/// Whose turn it is: the peer whose answers were given up least often for being read too slowly, then the one with the
/// least under way, then the oldest request. Who waits although its own window is open is *held back* by others;
/// `heldBack` names it, and the owner may give up an answer of a slow reader for it.
struct AnswerBudget: Sendable {
    private struct Entry {
        let peer: Bytes32
        /// What it may have at most, then what it has, bytes.
        var bytes: Int
        var isUnderWay = false
    }

    private struct Asker {
        /// nil where prefixes do not count.
        let subnet: Subnet?
        /// Bytes under way.
        var bytes = 0
        /// Ids that wait, oldest first.
        var waiting: [UInt64] = []
        /// Its answers, those that wait too.
        var count = 0
        /// Answers in a row that were given up because it read them too slowly.
        var slowReads = 0
    }

    private var entries: [UInt64: Entry] = [:]
    private var askers: [Bytes32: Asker] = [:]
    private var bytesOfSubnet: [Subnet: Int] = [:]
    /// Bytes under way in all.
    private(set) var bytes = 0
    private let limit: Int
    private let limitPerSubnet: Int
    private let window: Int

    init(
        limit: Int = OverlayLimits.answersUnderWay, perSubnet: Int = OverlayLimits.answersUnderWayPerSubnet,
        window: Int = OverlayLimits.answerWindow
    ) {
        self.limit = limit
        limitPerSubnet = perSubnet
        self.window = window
    }

    /// A request that waits for its turn; `bytes`: what its answer may have at most.
    mutating func add(_ id: UInt64, peer: Bytes32, subnet: Subnet?, bytes: Int) {
        guard entries[id] == nil else { return }
        entries[id] = Entry(peer: peer, bytes: min(max(bytes, 0), limit, subnet == nil ? limit : limitPerSubnet))
        var asker = askers[peer] ?? Asker(subnet: subnet)
        asker.waiting.append(id)
        asker.count += 1
        askers[peer] = asker
    }

    /// What the answer has, now that it is made.
    mutating func settle(_ id: UInt64, bytes: Int) {
        guard let entry = entries[id], entry.isUnderWay else { return }
        count(entry, bytes - entry.bytes)
        entries[id]?.bytes = bytes
    }

    /// How an answer ended.
    enum Ending {
        /// The reader has all of it.
        case read
        /// It was given up, because the reader took too long over it while others waited.
        case tooSlow
        /// Anything else.
        case other
    }

    /// Gives back what the answer held.
    mutating func remove(_ id: UInt64, _ ending: Ending = .other) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        if entry.isUnderWay { count(entry, -entry.bytes) }
        guard var asker = askers[entry.peer] else { return }
        asker.count -= 1
        if !entry.isUnderWay { asker.waiting.removeAll { $0 == id } }
        switch ending {
        case .read: asker.slowReads = 0
        case .tooSlow: asker.slowReads += 1
        case .other: break
        }
        askers[entry.peer] = asker.count == 0 ? nil : asker
    }

    private mutating func count(_ entry: Entry, _ change: Int) {
        bytes += change
        askers[entry.peer]?.bytes += change
        guard let subnet = askers[entry.peer]?.subnet else { return }
        let sum = bytesOfSubnet[subnet, default: 0] + change
        bytesOfSubnet[subnet] = sum == 0 ? nil : sum
    }

    // MARK: Turns

    /// The next answer to begin with, which is under way from now on; nil where nothing waits or nothing has room. Who
    /// has nothing under way and needs more room than there is in all keeps those behind it waiting: small answers
    /// would take each bit of room that comes free, for ever.
    mutating func next() -> UInt64? {
        let waiting = askers.compactMap { peer, asker -> (peer: Bytes32, asker: Asker, entry: Entry)? in
            guard let id = asker.waiting.first, let entry = entries[id], hasWindow(asker, entry) else { return nil }
            return (peer, asker, entry)
        }
        for (peer, asker, entry) in waiting.sorted(by: { AnswerBudget.isBefore($0.asker, $1.asker) }) {
            guard hasRoom(asker, entry) else {
                if asker.bytes == 0, bytes + entry.bytes > limit { return nil }
                continue
            }
            guard let id = askers[peer]?.waiting.removeFirst() else { return nil }
            entries[id]?.isUnderWay = true
            count(entry, entry.bytes)
            return id
        }
        return nil
    }

    /// The peer that waits although its own window is open; nil where there is none.
    var heldBack: Bytes32? {
        askers.filter { _, asker in
            guard let id = asker.waiting.first, let entry = entries[id] else { return false }
            return hasWindow(asker, entry) && !hasRoom(asker, entry)
        }.min { AnswerBudget.isBefore($0.value, $1.value) }?.key
    }

    /// Whether an answer of `other` may be given up for the sake of `peer`: it has more than `peer`, was not found
    /// slower before, and, where it is the prefix that is full, belongs to it.
    func mayGive(_ other: Bytes32, to peer: Bytes32) -> Bool {
        guard other != peer, let waits = askers[peer], let gives = askers[other], let id = waits.waiting.first,
            let entry = entries[id], gives.bytes > waits.bytes, waits.slowReads <= gives.slowReads
        else { return false }
        return bytes + entry.bytes > limit || (waits.subnet != nil && gives.subnet == waits.subnet)
    }

    private func hasWindow(_ asker: Asker, _ entry: Entry) -> Bool {
        asker.bytes == 0 || asker.bytes + entry.bytes <= window
    }

    private func hasRoom(_ asker: Asker, _ entry: Entry) -> Bool {
        bytes + entry.bytes <= limit
            && (asker.subnet.map { (bytesOfSubnet[$0] ?? 0) + entry.bytes <= limitPerSubnet } ?? true)
    }

    /// Whose turn comes first; no two have the same oldest request.
    private static func isBefore(_ a: Asker, _ b: Asker) -> Bool {
        (a.slowReads, a.bytes, a.waiting.first ?? .max) < (b.slowReads, b.bytes, b.waiting.first ?? .max)
    }
}
