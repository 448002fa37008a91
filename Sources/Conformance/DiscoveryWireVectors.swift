import Discovery
import Primitives

/// `discv5-wire.json`: `nodes`, `constants`, `packets`, `primitives` and `messages` of discv5.1.
enum DiscoveryWireVectors: VectorSuite {
    static let fileName = "discv5-wire.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        let nodes = file["nodes"]
        for node in ["nodeA", "nodeB"] where nodes.has("\(node)Key") {
            outcomes.append(CaseOutcome.judge("nodes \(node)", valid: true) { try identity(nodes, node) })
        }
        if let constants = file["constants"].ifPresent {
            outcomes.append(CaseOutcome.judge("constants", valid: true) { try compare(constants: constants) })
        }
        for (index, vector) in try (file["packets"].ifPresent?.array ?? []).enumerated() {
            outcomes.append(
                CaseOutcome.judge(name(of: vector, "packets", index), vector) { try packet(vector, nodes) })
        }
        for (index, vector) in try (file["primitives"].ifPresent?.array ?? []).enumerated() {
            outcomes.append(
                CaseOutcome.judge(name(of: vector, "primitives", index), vector) { try primitive(vector) })
        }
        for (index, vector) in try (file["messages"].ifPresent?.array ?? []).enumerated() {
            outcomes.append(
                CaseOutcome.judge(name(of: vector, "messages", index), vector) { try message(vector) })
        }
        guard !outcomes.isEmpty else { throw VectorError.expected("lists of cases", found: "none of them") }
        return outcomes
    }

    private static func key(_ value: JSONValue) throws -> IdentityKey {
        guard let key = IdentityKey(bytes: try value.hex) else { throw VectorError.malformed("a secret key") }
        return key
    }

    private static func publicKey(_ value: JSONValue) throws -> PublicKey {
        guard let key = PublicKey(compressed: try value.hex) else { throw VectorError.malformed("a public key") }
        return key
    }

    private static func identity(_ nodes: JSONValue, _ node: String) throws -> String? {
        let key = try key(nodes["\(node)Key"])
        return try CaseOutcome.difference(
            "public key", bytes: key.publicKey.compressed, try nodes["\(node)Pubkey"].hex)
            ?? CaseOutcome.difference("node id", key.nodeID, try nodes["\(node)Id"].bytes32)
    }

    private static func compare(constants: JSONValue) throws -> String? {
        let sizes = DiscoveryLimits.packetSizes
        return try CaseOutcome.difference(
            "protocol id", bytes: Array(ClearPacket.protocolBytes.prefix(6)), try constants["protocolIdHex"].hex)
            ?? CaseOutcome.difference(
                "key agreement text", bytes: Handshake.agreementText,
                Array(try constants["keyAgreementText"].string.utf8))
            ?? CaseOutcome.difference(
                "id signature text", bytes: Handshake.proofText, Array(try constants["idSignatureText"].string.utf8))
            ?? CaseOutcome.difference(
                "static header", ClearPacket.staticHeaderSize, try constants["staticHeaderSize"].int)
            ?? CaseOutcome.difference("smallest packet", sizes.lowerBound, try constants["minPacketSize"].int)
            ?? CaseOutcome.difference("largest packet", sizes.upperBound, try constants["maxPacketSize"].int)
    }

    // MARK: Packets

    private static func packet(_ vector: JSONValue, _ nodes: JSONValue) throws -> String? {
        let bytes = try vector["packet"].hex
        let destination = try vector["destNodeId"].bytes32
        let key = try vector["readKey"].ifPresent?.hex
        let packet = try ClearPacket(opening: bytes, to: destination, key: key)
        if let expected = try vector["maskingIv"].ifPresent?.hex, expected != packet.maskingIV { return "masking IV" }
        if let expected = vector["header"].ifPresent, let difference = try header(packet, expected) {
            return difference
        }
        if let expected = try vector["authdata"].ifPresent?.hex,
            let difference = CaseOutcome.difference("authdata", bytes: packet.authData, expected)
        {
            return difference
        }
        if let expected = try vector["unmaskedHeader"].ifPresent?.hex,
            let difference = CaseOutcome.difference("header", bytes: packet.header, expected)
        {
            return difference
        }
        if let expected = try vector["messagePlaintext"].ifPresent?.hex,
            let difference = CaseOutcome.difference("message", bytes: packet.message, expected)
        {
            return difference
        }
        if let expected = try vector["messageCiphertext"].ifPresent?.hex, Array(bytes.suffix(expected.count)) != expected
        {
            return "the ciphertext is not the packet's end"
        }
        if let source = try vector["srcNodeId"].ifPresent?.bytes32, packet.flag != 1,
            Bytes32(packet.authData.prefix(32)) != source
        {
            return "source id differs"
        }
        if let difference = try contents(of: packet, vector, nodes) { return difference }
        return CaseOutcome.difference(
            "packet sealed again", bytes: packet.sealed(to: destination, key: key) ?? [], bytes)
    }

    private static func header(_ packet: ClearPacket, _ expected: JSONValue) throws -> String? {
        try CaseOutcome.difference(
            "protocol", String(decoding: packet.header.prefix(6), as: UTF8.self), try expected["protocolId"].string)
            ?? CaseOutcome.difference(
                "version", Int(packet.header[6]) << 8 | Int(packet.header[7]), try expected["version"].int)
            ?? CaseOutcome.difference("flag", Int(packet.flag), try expected["flag"].int)
            ?? CaseOutcome.difference("nonce", bytes: packet.nonce, try expected["nonce"].hex)
            ?? CaseOutcome.difference("authdata size", packet.authData.count, try expected["authdataSize"].int)
    }

    private static func contents(
        of packet: ClearPacket, _ vector: JSONValue, _ nodes: JSONValue
    ) throws -> String? {
        if let expected = vector["whoareyou"].ifPresent, let difference = try whoAreYou(packet, expected) {
            return difference
        }
        if let expected = vector["ping"].ifPresent {
            guard case .ping(let id, let sequence) = try Message(decoding: packet.message) else { return "no PING" }
            let difference =
                try CaseOutcome.difference("request id", bytes: id.bytes, try expected["requestId"].hex)
                ?? CaseOutcome.difference("sequence", sequence, try expected["enrSeq"].uint64)
            if let difference { return difference }
        }
        if let expected = vector["handshake"].ifPresent {
            return try handshake(packet, expected, nodes, destination: try vector["destNodeId"].bytes32)
        }
        return nil
    }

    private static func whoAreYou(_ packet: ClearPacket, _ expected: JSONValue) throws -> String? {
        guard packet.flag == 1, packet.authData.count == 24 else { return "no WHOAREYOU" }
        let sequence = packet.authData[16...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return try CaseOutcome.difference("request nonce", bytes: packet.nonce, try expected["requestNonce"].hex)
            ?? CaseOutcome.difference("id nonce", bytes: Array(packet.authData[..<16]), try expected["idNonce"].hex)
            ?? CaseOutcome.difference("record sequence", sequence, try expected["enrSeq"].uint64)
            ?? CaseOutcome.difference(
                "challenge data", bytes: packet.maskingIV + packet.header, try expected["challengeData"].hex)
    }

    /// The proof and both keys, computed from either side.
    private static func handshake(
        _ packet: ClearPacket, _ expected: JSONValue, _ nodes: JSONValue, destination: Bytes32
    ) throws -> String? {
        let parts = try packet.handshake()
        let challenge = try expected["challengeData"].hex
        let source = try key(nodes["nodeAKey"])
        let recipient = try key(nodes["nodeBKey"])
        let ephemeral = try key(expected["ephemeralKey"])
        let digest = Handshake.proofDigest(
            challenge: challenge, ephemeralKey: parts.ephemeralKey.compressed, recipient: destination)
        let ours = ephemeral.sharedSecret(with: recipient.publicKey) ?? []
        let theirs = recipient.sharedSecret(with: ephemeral.publicKey) ?? []
        let keys = Handshake.keys(
            secret: ours, initiator: source.nodeID, recipient: destination, challenge: challenge)
        guard source.publicKey.verifies(parts.signature, digest: digest) else { return "the id signature is wrong" }
        let difference =
            try CaseOutcome.difference("ephemeral key", parts.ephemeralKey, ephemeral.publicKey)
            ?? CaseOutcome.difference("signature size", Int(packet.authData[32]), try expected["sigSize"].int)
            ?? CaseOutcome.difference("key size", Int(packet.authData[33]), try expected["ephKeySize"].int)
            ?? CaseOutcome.difference("signature", bytes: parts.signature, try expected["idSignature"].hex)
            ?? CaseOutcome.difference("signature input", digest, try expected["idSignatureInputHash"].bytes32)
            ?? CaseOutcome.difference("signature made again", bytes: source.sign(digest), parts.signature)
            ?? CaseOutcome.difference("secret of the other side", bytes: theirs, ours)
            ?? CaseOutcome.difference("initiator key", bytes: keys.initiator, try expected["initiatorKey"].hex)
            ?? CaseOutcome.difference("recipient key", bytes: keys.recipient, try expected["recipientKey"].hex)
            ?? CaseOutcome.difference("record", bytes: parts.record ?? [], try expected["record"].ifPresent?.hex ?? [])
        if let difference { return difference }
        guard let bytes = parts.record else { return nil }
        let record = try NodeRecord(decoding: bytes)
        return try CaseOutcome.difference("record's node", record.id, source.nodeID)
            ?? CaseOutcome.difference("record's text", record.text, try expected["recordText"].string)
            ?? CaseOutcome.difference("record's sequence", record.sequence, try expected["recordSeq"].uint64)
    }

    // MARK: Primitives

    private static func primitive(_ vector: JSONValue) throws -> String? {
        switch try vector["name"].string {
        case "ecdh":
            let secret = try key(vector["secretKey"]).sharedSecret(with: try publicKey(vector["publicKey"])) ?? []
            return CaseOutcome.difference("secret", bytes: secret, try vector["sharedSecret"].hex)
        case "key-derivation":
            let secret = try key(vector["ephemeralKey"]).sharedSecret(with: try publicKey(vector["destPubkey"])) ?? []
            let keys = Handshake.keys(
                secret: secret, initiator: try vector["nodeIdA"].bytes32, recipient: try vector["nodeIdB"].bytes32,
                challenge: try vector["challengeData"].hex)
            return try CaseOutcome.difference("initiator key", bytes: keys.initiator, try vector["initiatorKey"].hex)
                ?? CaseOutcome.difference("recipient key", bytes: keys.recipient, try vector["recipientKey"].hex)
        case "id-nonce-signing":
            let key = try key(vector["staticKey"])
            let digest = Handshake.proofDigest(
                challenge: try vector["challengeData"].hex, ephemeralKey: try vector["ephemeralPubkey"].hex,
                recipient: try vector["nodeIdB"].bytes32)
            let signature = try vector["idSignature"].hex
            guard key.publicKey.verifies(signature, digest: digest) else { return "the signature does not verify" }
            return CaseOutcome.difference("input", digest, try vector["inputHash"].bytes32)
                ?? CaseOutcome.difference("signature", bytes: key.sign(digest), signature)
        case "aes-gcm":
            let sealed = ClearPacket.seal(
                try vector["plaintext"].hex, key: try vector["encryptionKey"].hex, nonce: try vector["nonce"].hex,
                data: try vector["associatedData"].hex)
            return CaseOutcome.difference("ciphertext", bytes: sealed ?? [], try vector["messageCiphertext"].hex)
        case let other:
            throw VectorError.malformed("no primitive is called \(other)")
        }
    }

    // MARK: Messages

    private static func message(_ vector: JSONValue) throws -> String? {
        let encoded = try vector["encoded"].hex
        let fields = vector["fields"]
        let type = try vector["type"].string
        let message = try Message(decoding: encoded)
        if let difference = CaseOutcome.difference("encoded again", bytes: message.encoded, encoded) {
            return difference
        }
        switch (message, type) {
        case (.ping(let id, let sequence), "ping"):
            return try compare(id, fields) ?? CaseOutcome.difference("sequence", sequence, try fields["enrSeq"].uint64)
        case (.pong(let id, let sequence, let address, let port), "pong"):
            return try compare(id, fields) ?? CaseOutcome.difference("sequence", sequence, try fields["enrSeq"].uint64)
                ?? CaseOutcome.difference("address", bytes: address, try fields["recipientIp"].hex)
                ?? CaseOutcome.difference("port", Int(port), try fields["recipientPort"].int)
        case (.findNode(let id, let distances), "findnode"):
            return try compare(id, fields)
                ?? CaseOutcome.difference("distances", distances, try fields["distances"].array.map { try $0.int })
        case (.nodes(let id, let total, let records), "nodes"):
            for record in records { _ = try NodeRecord(decoding: record) }
            return try compare(id, fields) ?? CaseOutcome.difference("total", total, try fields["total"].int)
                ?? CaseOutcome.difference("records", records, try fields["enrs"].array.map { try $0.hex })
        case (.talkRequest(let id, let name, let request), "talkreq"):
            return try compare(id, fields)
                ?? CaseOutcome.difference("protocol", bytes: name, try fields["protocol"].hex)
                ?? CaseOutcome.difference("request", bytes: request, try fields["request"].hex)
        case (.talkResponse(let id, let response), "talkresp"):
            return try compare(id, fields)
                ?? CaseOutcome.difference("response", bytes: response, try fields["response"].hex)
        default:
            return "the message is no \(type)"
        }
    }

    private static func compare(_ id: RequestID, _ fields: JSONValue) throws -> String? {
        CaseOutcome.difference("request id", bytes: id.bytes, try fields["requestId"].hex)
    }
}
