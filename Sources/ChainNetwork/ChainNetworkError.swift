import Chain
import Primitives

/// What a peer did wrong, or why a request came to nothing.
public enum ChainNetworkError: Error, Equatable, Sendable {
    /// A content key that is none of this network's, or not in its one encoding.
    case malformedKey
    /// A value without its status byte, or with an unknown one.
    case unknownStatus(UInt8?)
    /// The container in a value or ping payload is not what it must be.
    case malformedValue(SSZError)
    /// A header or certificate in a value, or what they say, is wrong.
    case invalid(ChainError)
    /// More headers than asked for, others than asked for, or none in an answer that says it has some.
    case notWhatWasAsked
    /// The peer's chain has another genesis block.
    case anotherGenesis(Bytes32)
    /// A block whose access list, which its header does not commit to, does not lead to the state root.
    case wrongState(block: UInt64)
    /// The peer served all headers up to the block that it calls attested, and they do not prove it.
    case notAttested(number: UInt64)
}
