import Chain
import Primitives

/// The first byte of every value of this network, with what follows it. Anything but `data` is an honest "not from me
/// now" and never costs a peer score.
public enum StateStatus: Hashable, Sendable {
    /// 0: the content follows.
    case data
    /// 1: not at this anchor or state point; the anchors that are served follow.
    case notAtThisAnchor(served: [Anchor])
    /// 2: ask again after this many seconds.
    case busy(seconds: UInt16)
    /// 3: the changes asked for begin before what is kept.
    case historyTooShort
    /// 4: not even one item fits the asker's max bytes.
    case itemTooLarge
    /// 5: the key names a storage trie or a placement that this network does not have.
    case placementNotSupported

    static let anchorsSchema = SSZType.list(StateContentKey.anchorSchema, limit: StateContentLimits.servedAnchors)

    /// Reads the status of a value. The content after status 0 is not looked at; the others must be exact.
    public init(decoding value: [UInt8]) throws(StateContentError) {
        guard let first = value.first else { throw .empty }
        guard value.count <= StateContentLimits.answerBytes else { throw .valueTooLong(bytes: value.count) }
        switch first {
        case 0:
            self = .data
            return
        case 1:
            do throws(SSZError) {
                var anchors: [Anchor] = []
                for element in try SSZ.decode(value.dropFirst(), as: Self.anchorsSchema).elements {
                    anchors.append(try StateContentKey.anchor(element))
                }
                self = .notAtThisAnchor(served: anchors)
                return
            } catch {
                throw .malformed(error)
            }
        case 2:
            guard value.count == 3 else { throw .malformed(.wrongSize) }
            self = .busy(seconds: min(UInt16(value[1]) | UInt16(value[2]) << 8, StateContentLimits.busySeconds))
            return
        case 3: self = .historyTooShort
        case 4: self = .itemTooLarge
        case 5: self = .placementNotSupported
        default: throw .unknownStatus(first)
        }
        guard value.count == 1 else { throw .malformed(.wrongSize) }
    }

    /// The whole value of a status without content; the first byte of one with it.
    public var encoded: [UInt8] {
        switch self {
        case .data: return [0]
        case .notAtThisAnchor(let served):
            // Newest first where there are more than may be listed.
            let listed = served.sorted(by: >).prefix(StateContentLimits.servedAnchors).sorted()
            return [1] + listed.flatMap { StateContentKey.bytes($0) }
        case .busy(let seconds): return [2, UInt8(truncatingIfNeeded: seconds), UInt8(seconds >> 8)]
        case .historyTooShort: return [3]
        case .itemTooLarge: return [4]
        case .placementNotSupported: return [5]
        }
    }

    /// Throws unless the value carries data.
    static func requireData(_ value: [UInt8]) throws(StateContentError) {
        let status = try StateStatus(decoding: value)
        guard status == .data else { throw .status(status) }
    }
}
