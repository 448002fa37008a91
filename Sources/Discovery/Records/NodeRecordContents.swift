import Primitives

/// Where the parts of a record lie in the bytes it was read from: nothing is copied. The form is checked, the signature
/// and the values of known keys are not. The functions take the same bytes again.
struct NodeRecordContents {
    private struct Pair {
        let key: RLPItem
        let value: RLPItem
    }

    let sequence: UInt64
    private let signature: RLPItem
    private let pairs: [Pair]
    private let end: Int

    init(reading buffer: UnsafeRawBufferPointer) throws(NodeRecordError) {
        guard buffer.count <= DiscoveryLimits.recordSize else { throw .tooLarge(buffer.count) }
        var pairs: [Pair] = []
        var keyLeft = false
        do throws(RLPError) {
            let list = try RLPItem(in: buffer, at: 0, limit: buffer.count)
            guard list.isList else { throw .expectedList }
            guard list.end == buffer.count else { throw .trailingBytes }
            end = list.end
            signature = try NodeRecordContents.string(in: buffer, at: list.contentStart, limit: end)
            let number = try NodeRecordContents.string(in: buffer, at: signature.end, limit: end)
            sequence = try NodeRecordContents.integer(buffer[number.contentStart..<number.end])
            var position = number.end
            pairs.reserveCapacity(8)
            while position < end {
                let key = try NodeRecordContents.string(in: buffer, at: position, limit: end)
                keyLeft = key.end == end
                if keyLeft { break }
                let value = try RLPItem(in: buffer, at: key.end, limit: end)
                try NodeRecordContents.check(value, in: buffer)
                pairs.append(Pair(key: key, value: value))
                position = value.end
            }
        } catch {
            throw .malformed(error)
        }
        self.pairs = pairs
        guard !keyLeft else { throw .missingValue }
        try checkKeys(in: buffer)
    }

    private func checkKeys(in buffer: UnsafeRawBufferPointer) throws(NodeRecordError) {
        for index in pairs.indices.dropFirst() {
            let (a, b) = (content(pairs[index - 1].key, in: buffer), content(pairs[index].key, in: buffer))
            guard a.lexicographicallyPrecedes(b) else { throw a.elementsEqual(b) ? .duplicateKey : .unsortedKeys }
        }
        guard content(signature, in: buffer).count == 64 else { throw .signatureSize }
        guard string("id", in: buffer)?.elementsEqual("v4".utf8) == true else { throw .identityScheme }
        guard value("secp256k1", in: buffer) != nil else { throw .missingPublicKey }
    }

    // MARK: Reading

    private static func string(
        in buffer: UnsafeRawBufferPointer, at position: Int, limit: Int
    ) throws(RLPError) -> RLPItem {
        let item = try RLPItem(in: buffer, at: position, limit: limit)
        guard !item.isList else { throw .expectedString }
        return item
    }

    private static func integer(_ bytes: Slice<UnsafeRawBufferPointer>) throws(RLPError) -> UInt64 {
        guard bytes.first != 0 else { throw .leadingZeros }
        guard bytes.count <= 8 else { throw .integerTooLarge }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Whether what is inside a list is well formed, too. A record's size bounds how deep it goes.
    private static func check(_ item: RLPItem, in buffer: UnsafeRawBufferPointer) throws(RLPError) {
        guard item.isList else { return }
        var position = item.contentStart
        while position < item.end {
            let inner = try RLPItem(in: buffer, at: position, limit: item.end)
            try check(inner, in: buffer)
            position = inner.end
        }
    }

    private func content(_ item: RLPItem, in buffer: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer[item.contentStart..<item.end])
    }

    private func value(_ key: StaticString, in buffer: UnsafeRawBufferPointer) -> RLPItem? {
        let name = UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
        return pairs.first { content($0.key, in: buffer).elementsEqual(name) }?.value
    }

    private func string(_ key: StaticString, in buffer: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard let item = value(key, in: buffer), !item.isList else { return nil }
        return content(item, in: buffer)
    }

    // MARK: What it says

    /// r ‖ s.
    func signature(in buffer: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer { content(signature, in: buffer) }

    /// keccak256 of the list [seq, k, v, …], which is what is signed. An encoding is the only one of its value, so the
    /// bytes of the record are those of the list.
    func digest(in buffer: UnsafeRawBufferPointer) -> Bytes32 {
        let content = buffer[signature.end..<end]
        let header = RLPWriter.listHeader(contentBytes: content.count)
        return withUnsafeTemporaryAllocation(byteCount: header.count + content.count, alignment: 8) { list in
            list.copyBytes(from: header)
            UnsafeMutableRawBufferPointer(rebasing: list[header.count...]).copyBytes(from: content)
            return Keccak.hash(UnsafeRawBufferPointer(list))
        }
    }

    func publicKey(in buffer: UnsafeRawBufferPointer) throws(NodeRecordError) -> PublicKey {
        guard let bytes = string("secp256k1", in: buffer), let point = CurvePoint(compressed: bytes) else {
            throw .invalidPublicKey
        }
        return PublicKey(point: point, compressed: Array(bytes))
    }

    /// An address of exactly `size` bytes; nil where the key is absent.
    func address(
        _ key: StaticString, size: Int, in buffer: UnsafeRawBufferPointer
    ) throws(NodeRecordError) -> UnsafeRawBufferPointer? {
        guard value(key, in: buffer) != nil else { return nil }
        guard let bytes = string(key, in: buffer), bytes.count == size else { throw .malformedValue("\(key)") }
        return bytes
    }

    /// A port; nil where the key is absent. Leading zeros and more than 16 bits are refused.
    func port(_ key: StaticString, in buffer: UnsafeRawBufferPointer) throws(NodeRecordError) -> UInt16? {
        guard value(key, in: buffer) != nil else { return nil }
        guard let bytes = string(key, in: buffer), bytes.count <= 2, bytes.first != 0 else {
            throw .malformedValue("\(key)")
        }
        return bytes.reduce(0) { $0 << 8 | UInt16($1) }
    }

    /// Portal's `p`; nil where it is absent. Items after the third are for versions to come.
    func portalEntry(in buffer: UnsafeRawBufferPointer) throws(NodeRecordError) -> NodeRecord.PortalEntry? {
        guard let list = value("p", in: buffer) else { return nil }
        var numbers: (UInt64, UInt64, UInt64) = (0, 0, 0)
        do throws(RLPError) {
            guard list.isList else { throw .expectedList }
            var position = list.contentStart
            for place in 0..<3 {
                let item = try NodeRecordContents.string(in: buffer, at: position, limit: list.end)
                let number = try NodeRecordContents.integer(buffer[item.contentStart..<item.end])
                switch place {
                case 0: numbers.0 = number
                case 1: numbers.1 = number
                default: numbers.2 = number
                }
                position = item.end
            }
        } catch {
            throw .malformedValue("p")
        }
        return NodeRecord.PortalEntry(lowestVersion: numbers.0, highestVersion: numbers.1, chainID: numbers.2)
    }

    /// Everything as values of their own, to be changed and signed again.
    func fields(in buffer: UnsafeRawBufferPointer) throws(NodeRecordError) -> NodeRecordFields {
        var values: [NodeRecordFields.Pair] = []
        for pair in pairs {
            do throws(RLPError) {
                let value = try RLPValue(decoding: Array(buffer[pair.value.start..<pair.value.end]))
                values.append(NodeRecordFields.Pair(key: Array(content(pair.key, in: buffer)), value: value))
            } catch {
                throw .malformed(error)
            }
        }
        return NodeRecordFields(sequence: sequence, pairs: values)
    }
}
