import Primitives

extension BlockHeader.Fields {
    static let bloomByteCount = 256
    static let nonceByteCount = 8

    /// How many fields these are, by the newest fork whose fields are set; a throw where an older fork's are missing.
    func fieldCount() throws(ChainError) -> Int {
        let steps: [(set: Bool, count: Int)] = [
            (baseFeePerGas != nil, 1), (withdrawalsRoot != nil, 1), (blob != nil, 3), (requestsHash != nil, 1),
            (accessList != nil, 2),
        ]
        let present = steps.prefix { $0.set }.count
        let count = 15 + steps[..<present].reduce(0) { $0 + $1.count }
        guard !steps[present...].contains(where: { $0.set }) else { throw .headerFieldCount(count) }
        return count
    }

    init(rlp: [UInt8]) throws(ChainError) {
        let count: Int
        do throws(RLPError) {
            var counting = try RLPReader.list(rlp)
            var items = 0
            // 24 is one too many already: a header of thousands of tiny fields is not walked to its end.
            while !counting.isAtEnd, items < 24 {
                try counting.skip()
                items += 1
            }
            count = items
        } catch {
            throw .malformed(.header, error)
        }
        guard [15, 16, 17, 20, 21, 23].contains(count) else { throw .headerFieldCount(count) }
        do throws(RLPError) {
            var reader = try RLPReader.list(rlp)
            try self.init(&reader, count: count)
            try reader.finish()
        } catch {
            throw .malformed(.header, error)
        }
    }

    private init(_ reader: inout RLPReader, count: Int) throws(RLPError) {
        parentHash = try reader.nextBytes32()
        unclesHash = try reader.nextBytes32()
        miner = try reader.nextAddress()
        stateRoot = try reader.nextBytes32()
        transactionsRoot = try reader.nextBytes32()
        receiptsRoot = try reader.nextBytes32()
        logsBloom = try reader.nextBytes(count: Self.bloomByteCount)
        difficulty = try reader.nextUInt256()
        number = try reader.nextUInt64()
        guard number <= ChainLimits.blockNumber else { throw .integerTooLarge }
        gasLimit = try reader.nextUInt64()
        gasUsed = try reader.nextUInt64()
        timestamp = try reader.nextUInt64()
        extraData = try reader.nextBytes()
        mixHash = try reader.nextBytes32()
        nonce = try reader.nextBytes(count: Self.nonceByteCount).reduce(0) { $0 << 8 | UInt64($1) }
        baseFeePerGas = count >= 16 ? try reader.nextUInt256() : nil
        withdrawalsRoot = count >= 17 ? try reader.nextBytes32() : nil
        blob =
            count >= 20
            ? BlockHeader.BlobFields(
                gasUsed: try reader.nextUInt64(), excessGas: try reader.nextUInt64(),
                parentBeaconBlockRoot: try reader.nextBytes32())
            : nil
        requestsHash = count >= 21 ? try reader.nextBytes32() : nil
        accessList =
            count >= 23
            ? BlockHeader.AccessListFields(hash: try reader.nextBytes32(), slotNumber: try reader.nextUInt64())
            : nil
    }

    func encoded() throws(ChainError) -> [UInt8] {
        _ = try fieldCount()
        guard logsBloom.count == Self.bloomByteCount else { throw .malformed(.header, .wrongSize) }
        return RLPWriter.list { writer in
            writer.append(parentHash)
            writer.append(unclesHash)
            writer.append(miner.bytes)
            writer.append(stateRoot)
            writer.append(transactionsRoot)
            writer.append(receiptsRoot)
            writer.append(logsBloom)
            writer.append(difficulty)
            for value in [number, gasLimit, gasUsed, timestamp] { writer.append(value) }
            writer.append(extraData)
            writer.append(mixHash)
            writer.append(withUnsafeBytes(of: nonce.bigEndian) { Array($0) })
            if let baseFeePerGas { writer.append(baseFeePerGas) }
            if let withdrawalsRoot { writer.append(withdrawalsRoot) }
            if let blob {
                writer.append(blob.gasUsed)
                writer.append(blob.excessGas)
                writer.append(blob.parentBeaconBlockRoot)
            }
            if let requestsHash { writer.append(requestsHash) }
            if let accessList {
                writer.append(accessList.hash)
                writer.append(accessList.slotNumber)
            }
        }
    }
}

extension RLPReader {
    /// Passes over the next item.
    mutating func skip() throws(RLPError) { _ = try nextRaw() }

    /// A string of 20 bytes.
    mutating func nextAddress() throws(RLPError) -> Address {
        guard let address = Address(try nextBytes()) else { throw .wrongSize }
        return address
    }
}
