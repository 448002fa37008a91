import Chain
import Primitives

/// A content key, status or small value that is not well-formed.
public enum StateContentError: Error, Equatable, Sendable {
    /// No bytes at all.
    case empty
    /// A key whose first byte names no content of this network.
    case unknownContent(UInt8)
    case keyTooLong(bytes: Int)
    case valueTooLong(bytes: Int)
    /// The container after the first byte.
    case malformed(SSZError)
    /// A well-formed container with an impossible field; the text names it.
    case invalid(String)
    case unknownStatus(UInt8)
    /// The value carries this status instead of data.
    case status(StateStatus)
}
