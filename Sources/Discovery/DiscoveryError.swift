import Primitives

/// Why a request of ours to another node brought no answer, or why the machine could not do what it was told.
public enum DiscoveryError: Error, Equatable, Sendable {
    /// No answer (or no handshake) in time.
    case timeout
    /// The node's record is not known or names no UDP endpoint, so it cannot be reached.
    case noEndpoint
    /// The address was named by strangers, nobody has answered from it, and too little has come that names it for
    /// another packet to go there.
    case unprovenAddress
    /// The message does not fit one packet; the number is the largest size that does, in bytes.
    case messageTooLarge(limit: Int)
    /// Too many requests are waiting, to this node or in all.
    case tooManyRequests
    /// The local record given was not signed by the local key.
    case recordOfAnotherKey
    /// The request would go to ourselves.
    case ownNode
    /// The local record could not be signed anew.
    case record(NodeRecordError)
}

/// Why bytes or text are not a node record (EIP-778, identity scheme "v4").
public enum NodeRecordError: Error, Equatable, Sendable {
    /// The text does not begin with "enr:".
    case textPrefix
    /// A character outside URL-safe base64, padding, or unused bits that are not zero.
    case textEncoding
    /// Larger than 300 bytes; the number is the size.
    case tooLarge(Int)
    case malformed(RLPError)
    /// A key without a value.
    case missingValue
    case unsortedKeys
    case duplicateKey
    case signatureSize
    /// No `id` entry, or one that is not "v4".
    case identityScheme
    case missingPublicKey
    case invalidPublicKey
    case signatureInvalid
    /// A known key (named) holds a value of the wrong size or form.
    case malformedValue(String)
    /// The sequence number cannot be raised any further.
    case sequenceExhausted
}

/// Why a packet, its handshake or its message was refused. Nothing of it leaves the machine except as a count.
package enum PacketError: Error, Equatable, Sendable {
    /// Not 63…1,280 bytes.
    case size(Int)
    /// Not masked for us, or another protocol or version.
    case notForUs
    case unknownFlag(UInt8)
    case authenticationDataSize
    /// A signature or key of another size than the "v4" identity's, or a key that is no point.
    case handshakeSizes
    /// No record of the sender, or one that does not decode or is another node's.
    case handshakeRecord
    /// No key opens the message.
    case decryption
    /// The id signature is not the sender's.
    case handshakeProof
}

/// Why the plaintext of a message was refused.
package enum MessageError: Error, Equatable, Sendable {
    case empty
    case unknownType(UInt8)
    case malformed(RLPError)
    /// A request id of more than 8 bytes.
    case requestIDTooLong
    /// An IP address of neither 4 nor 16 bytes.
    case addressSize
    case portTooLarge
    /// NODES that claims no packet at all, or more than a bucket can fill.
    case total
}
