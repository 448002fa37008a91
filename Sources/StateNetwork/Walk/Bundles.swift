import Primitives
import StateContent
import StateStore

/// Which sections are asked for several at once, in one *bundle* (0x45): where they are small, so that a request for
/// each would be mostly waiting, and of peers that know how.
struct Bundles: Sendable {
    /// Bytes of a section in an answer, as far as is known by those that came; nil before the first.
    private var sectionBytes: Double?
    /// Bytes a second that one request has brought of late; nil before the first.
    private var pace: Double?
    /// Sections that were left out of an answer, since they last moved: they are asked for as ranges.
    private var leftOut: Set<Int> = []
    /// Peers that have never heard of bundles.
    private var former = FormerPeers()

    // MARK: What happened

    /// So many sections, or a part of one, had so many bytes. What came last counts for an eighth, since neighbours
    /// differ; what many have in common for more.
    mutating func measured(bytes: Int, sections: Double) {
        guard sections > 0, bytes > 0 else { return }
        let sample = Double(bytes) / sections
        let weight = max(min(sections / 16, 1), 0.125)
        sectionBytes = sectionBytes.map { $0 + (sample - $0) * weight } ?? sample
    }

    /// A range or bundle brought so many bytes from the question to the end.
    mutating func took(_ time: Interval, bytes: Int) {
        let sample = Double(bytes) / max(time.seconds, 0.001)
        pace = pace.map { $0 + (sample - $0) / 4 } ?? sample
    }

    /// An answer brought these of the sections asked for. Those before the last of them that it lacks did not fit.
    mutating func came(_ given: [Int], of asked: [Int], bytes: Int) {
        measured(bytes: bytes, sections: Double(given.count))
        let has = Set(given)
        for index in asked where !has.contains(index) && index < given.last ?? 0 { leftOut.insert(index) }
    }

    /// What was asked of a peer ended.
    mutating func ended(_ sections: [Int], of peer: Bytes32, _ outcome: AskOutcome, at now: Instant) {
        switch outcome {
        case .notKnown: former.add(peer, sequence: nil, at: now)
        case .tooLarge: leftOut.formUnion(sections)
        case .done, .busy, .refused, .lacksPart, .tooOld, .failed, .invalid, .aborted: break
        }
    }

    /// Something is held of a section, or nothing any more.
    mutating func moved(_ section: Int) { leftOut.remove(section) }

    // MARK: What follows

    /// Whether the peer is taken to know bundles.
    func areKnown(to peer: Bytes32, at now: Instant) -> Bool { !former.contains(peer, sequence: nil, at: now) }

    /// Whether a section may be part of one.
    func mayHave(_ section: Int) -> Bool { !leftOut.contains(section) }

    /// Sections that fit an answer of so many bytes, by what is known: a tenth of it is left free, since they differ.
    /// Where lines are slow they are no more than come in `WalkLimits.bundleTime`.
    func count(in bytes: UInt32) -> Int {
        guard let sectionBytes else { return 1 }
        let usual = (pace ?? .infinity) * WalkLimits.bundleTime.seconds
        let count = min(Double(bytes) * 0.9, usual) / max(sectionBytes, 1)
        return min(max(Int(count), 1), StateContentLimits.maskBits)
    }
}
