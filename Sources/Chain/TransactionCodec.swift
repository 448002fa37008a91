import Primitives

/// The five payload layouts.
enum TransactionCodec {
    typealias Fields = Transaction.Fields
    typealias Signature = Transaction.Signature

    static func decode(
        _ kind: Transaction.Kind, payload: [UInt8]
    ) throws(ChainError) -> (fields: Fields, signature: Signature) {
        var fields: Fields
        let v: UInt256
        let signature: Signature
        do throws(RLPError) {
            var reader = try RLPReader.list(payload)
            fields = try body(kind, &reader)
            v = try reader.nextUInt256()
            signature = Signature(
                parity: UInt8(truncatingIfNeeded: v.big.word3), r: try reader.nextUInt256(),
                s: try reader.nextUInt256())
            try reader.finish()
        } catch {
            throw .malformed(.transaction, error)
        }
        guard kind != .blob && kind != .setCode || fields.to != nil else { throw .missingReceiver }
        if kind == .legacy {
            let meaning = try legacyV(v)
            fields.chainID = meaning.chainID
            return (fields, Signature(parity: meaning.parity, r: signature.r, s: signature.s))
        }
        guard v <= UInt256(1) else { throw .invalidSignature }
        return (fields, signature)
    }

    /// 27 + parity without a chain id; 35 + parity + 2 × chain id with one. Source: EIP-155.
    private static func legacyV(_ v: UInt256) throws(ChainError) -> (chainID: UInt64?, parity: UInt8) {
        let low = v.big.word3
        guard v == UInt256(low), low == 27 || low == 28 || low >= 35 else { throw .invalidSignature }
        if low <= 28 { return (nil, UInt8(low - 27)) }
        return ((low - 35) / 2, UInt8((low - 35) % 2))
    }

    private static func body(_ kind: Transaction.Kind, _ reader: inout RLPReader) throws(RLPError) -> Fields {
        let chainID: UInt64? = kind == .legacy ? nil : try reader.nextUInt64()
        let nonce = try reader.nextUInt64()
        let priority: UInt256? = kind.rawValue >= Transaction.Kind.dynamicFee.rawValue ? try reader.nextUInt256() : nil
        let fee = try reader.nextUInt256()
        let gasLimit = try reader.nextUInt64()
        let receiver = try reader.nextBytes()
        let to = Address(receiver)
        guard to != nil || receiver.isEmpty else { throw .wrongSize }
        var fields = Fields(
            chainID: chainID, nonce: nonce, maxFeePerGas: fee, gasLimit: gasLimit, to: to,
            value: try reader.nextUInt256())
        fields.maxPriorityFeePerGas = priority
        fields.data = try reader.nextBytes()
        if kind != .legacy { fields.accessList = try accessList(&reader) }
        if kind == .blob {
            fields.maxFeePerBlobGas = try reader.nextUInt256()
            var hashes = try reader.nextList()
            while !hashes.isAtEnd { fields.blobHashes.append(try hashes.nextBytes32()) }
        }
        if kind == .setCode {
            var list = try reader.nextList()
            while !list.isAtEnd { fields.authorizations.append(try authorization(&list)) }
        }
        return fields
    }

    private static func accessList(_ reader: inout RLPReader) throws(RLPError) -> [Transaction.AccessEntry] {
        var list = try reader.nextList()
        var entries: [Transaction.AccessEntry] = []
        while !list.isAtEnd {
            var entry = try list.nextList()
            let address = try entry.nextAddress()
            var keys = try entry.nextList()
            var storageKeys: [Bytes32] = []
            while !keys.isAtEnd { storageKeys.append(try keys.nextBytes32()) }
            try entry.finish()
            entries.append(Transaction.AccessEntry(address: address, storageKeys: storageKeys))
        }
        return entries
    }

    private static func authorization(_ reader: inout RLPReader) throws(RLPError) -> Transaction.Authorization {
        var item = try reader.nextList()
        let chainID = try item.nextUInt256()
        let address = try item.nextAddress()
        let nonce = try item.nextUInt64()
        guard let parity = UInt8(exactly: try item.nextUInt64()) else { throw .integerTooLarge }
        let signature = Signature(parity: parity, r: try item.nextUInt256(), s: try item.nextUInt256())
        try item.finish()
        return Transaction.Authorization(chainID: chainID, address: address, nonce: nonce, signature: signature)
    }

    /// The envelope; without a signature, what is hashed to be signed.
    static func encode(_ kind: Transaction.Kind, _ fields: Fields, signature: Signature?) -> [UInt8] {
        let list = RLPWriter.list { writer in
            encodeBody(kind, fields, to: &writer)
            if let signature {
                writer.append(kind == .legacy ? legacyV(fields, signature) : UInt256(UInt64(signature.parity)))
                writer.append(signature.r)
                writer.append(signature.s)
            } else if kind == .legacy, let chainID = fields.chainID {
                writer.append(chainID)
                writer.append([])
                writer.append([])
            }
        }
        return kind == .legacy ? list : [kind.rawValue] + list
    }

    private static func legacyV(_ fields: Fields, _ signature: Signature) -> UInt256 {
        guard let chainID = fields.chainID else { return UInt256(27 + UInt64(signature.parity)) }
        return UInt256(chainID).multiplied(by: 2, adding: 35 + UInt64(signature.parity)) ?? .max
    }

    private static func encodeBody(_ kind: Transaction.Kind, _ fields: Fields, to writer: inout RLPWriter) {
        if kind != .legacy { writer.append(fields.chainID ?? 0) }
        writer.append(fields.nonce)
        if kind.rawValue >= Transaction.Kind.dynamicFee.rawValue {
            writer.append(fields.maxPriorityFeePerGas ?? .zero)
        }
        writer.append(fields.maxFeePerGas)
        writer.append(fields.gasLimit)
        writer.append(fields.to?.bytes ?? [])
        writer.append(fields.value)
        writer.append(fields.data)
        if kind != .legacy {
            writer.appendList { list in
                for entry in fields.accessList {
                    list.appendList { item in
                        item.append(entry.address.bytes)
                        item.appendList { keys in for key in entry.storageKeys { keys.append(key) } }
                    }
                }
            }
        }
        if kind == .blob {
            writer.append(fields.maxFeePerBlobGas ?? .zero)
            writer.appendList { list in for hash in fields.blobHashes { list.append(hash) } }
        }
        if kind == .setCode {
            writer.appendList { list in
                for authorization in fields.authorizations {
                    list.appendList { item in
                        item.append(authorization.chainID)
                        item.append(authorization.address.bytes)
                        item.append(authorization.nonce)
                        item.append(UInt64(authorization.signature.parity))
                        item.append(authorization.signature.r)
                        item.append(authorization.signature.s)
                    }
                }
            }
        }
    }
}
