// The words of this target's errors.

extension DiscoveryError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .timeout: "no answer in time"
        case .noEndpoint: "its record names no address"
        case .unprovenAddress: "nobody has answered from its address"
        case .messageTooLarge(let limit): "the message has more than \(limit) bytes"
        case .tooManyRequests: "too many requests wait"
        case .recordOfAnotherKey: "the record is not signed by this node's key"
        case .ownNode: "it is this node itself"
        case .record(let error): "the record cannot be signed: \(error)"
        }
    }
}

extension NodeRecordError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .textPrefix: "it does not begin with enr:"
        case .textEncoding: "a character in it is not base64"
        case .tooLarge(let bytes): "it has \(bytes) bytes, more than 300"
        case .malformed(let error): "it does not decode: \(error)"
        case .missingValue: "it has a key without a value"
        case .unsortedKeys: "its keys are out of order"
        case .duplicateKey: "it has a key twice"
        case .signatureSize: "its signature has another size than 64 bytes"
        case .identityScheme: "its identity is not of the scheme v4"
        case .missingPublicKey: "it has no public key"
        case .invalidPublicKey: "its public key is none"
        case .signatureInvalid: "its signature does not verify"
        case .malformedValue(let key): "its value of '\(key)' is none"
        case .sequenceExhausted: "its sequence number cannot be raised"
        }
    }
}

extension PacketError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .size(let bytes): "a packet of \(bytes) bytes"
        case .notForUs: "a packet for somebody else, or of another protocol"
        case .unknownFlag(let flag): "a packet with the unknown flag \(flag)"
        case .authenticationDataSize: "authentication data of a wrong size"
        case .handshakeSizes: "a signature or key of a wrong size"
        case .handshakeRecord: "no record of the sender"
        case .decryption: "no key opens it"
        case .handshakeProof: "the signature is not the sender's"
        }
    }
}

extension MessageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .empty: "no bytes"
        case .unknownType(let type): "a message of the unknown type \(type)"
        case .malformed(let error): "it does not decode: \(error)"
        case .requestIDTooLong: "a request id of more than 8 bytes"
        case .addressSize: "an address of neither 4 nor 16 bytes"
        case .portTooLarge: "a port above 65535"
        case .total: "an impossible number of packets"
        }
    }
}
