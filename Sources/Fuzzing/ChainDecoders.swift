import Chain
import ChainNetwork
import Primitives

/// Decoders of the execution chain's own forms, and of the chain network.
enum ChainDecoders {
    /// The tree, and the same bytes walked by a reader.
    static func rlp(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let value = try? RLPValue(decoding: bytes) else { return false }
        try require(value.encoded == bytes, .notCanonical("RLP"))
        var reader = RLPReader(bytes)
        switch value {
        case .string(let string):
            try require((try? reader.nextBytes()) == string, .readersDiffer("RLP string"))
            integers(bytes)
        case .list(let items):
            guard var inner = try? reader.nextList() else { throw .readersDiffer("RLP list") }
            for item in items {
                try require((try? inner.nextRaw()) == item.encoded, .readersDiffer("RLP items"))
            }
            try require(inner.isAtEnd, .readersDiffer("RLP items"))
        }
        try require(reader.isAtEnd, .readersDiffer("RLP end"))
        return true
    }

    /// Every typed reading of one string: only that they return.
    private static func integers(_ bytes: [UInt8]) {
        var reader = RLPReader(bytes)
        _ = try? reader.nextUInt64()
        reader = RLPReader(bytes)
        _ = try? reader.nextUInt256()
        reader = RLPReader(bytes)
        _ = try? reader.nextBytes32()
    }

    static func header(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let header = try? BlockHeader(rlp: bytes) else { return false }
        guard let again = try? BlockHeader(header.fields) else { throw .notRoundTrip("header without encoding") }
        try require(again.rlp == bytes && again.hash == header.hash, .notCanonical("header"))
        try require(again.fields == header.fields, .notRoundTrip("header"))
        return true
    }

    static func transaction(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let transaction = try? Transaction(envelope: bytes) else { return false }
        let again = Transaction(transaction.kind, transaction.fields, signature: transaction.signature)
        try require(again.envelope == bytes, .notCanonical("transaction"))
        _ = try? transaction.sender()
        return true
    }

    static func body(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let block = try? Block(rlp: bytes) else { return false }
        try require(block.rlp == bytes, .notCanonical("block"))
        _ = try? block.verifyBody()
        return true
    }

    /// A block for each header, with two of the transactions, the header again as an uncle of every third, and with
    /// withdrawals or without.
    static func bodies(headers: [[UInt8]], transactions: [[UInt8]]) -> [[UInt8]] {
        let items = transactions.compactMap { envelope in
            envelope.first.map { $0 >= 0xc0 } == true ? try? RLPValue(decoding: envelope) : .string(envelope)
        }
        let parts = [[1], [2], [UInt8](repeating: 3, count: 20), []]
        let withdrawal = RLPValue.list(parts.map { .string($0) })
        return headers.enumerated().compactMap { index, header in
            guard let head = try? RLPValue(decoding: header) else { return nil }
            let parts: [RLPValue] = [
                head, .list(Array(items.dropFirst(2 * index % max(1, items.count)).prefix(2))),
                .list(index % 3 == 0 ? [head] : []),
            ]
            return RLPValue.list(parts + (index % 2 == 0 ? [.list([withdrawal])] : [])).encoded
        }
    }

    /// Both forms of an account.
    static func account(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        var accepted = false
        if let full = try? StateAccount(rlp: bytes) {
            accepted = true
            try require(full.rlp == bytes, .notCanonical("account"))
            try require((try? StateAccount(slim: full.slim)) == full, .notRoundTrip("slim account"))
        }
        if let slim = try? StateAccount(slim: bytes) {
            accepted = true
            try require(slim.slim == bytes, .notCanonical("slim account"))
            try require((try? StateAccount(rlp: slim.rlp)) == slim, .notRoundTrip("account"))
        }
        return accepted
    }

    static func accessList(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let list = try? BlockAccessList(rlp: bytes) else { return false }
        try require(list.rlp == bytes, .notCanonical("access list"))
        _ = try? list.verifyLimits(transactionCount: 2, gasLimit: 30_000_000)
        return true
    }

    /// The answer of the chain network that has blocks, and each block by itself.
    static func blocks(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let value = try? BlocksValue(decoding: bytes) else { return false }
        try require(value.encoded == bytes, .notCanonical("blocks"))
        guard case .blocks(let blocks) = value else { return true }
        let hashes = blocks.map { Keccak.hash($0.header) }
        for block in BlockCheck(blocks, expecting: hashes).run().blocks {
            let again = try? Block(header: block.header, body: block.bytes.body)
            try require(again?.bodyRLP == block.bytes.body, .notCanonical("body of a block"))
            let list = try? BlockAccessList(rlp: block.bytes.accessList)
            try require(list?.accountChanges == block.changes, .notRoundTrip("access list of a block"))
        }
        return true
    }

    static func certificate(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let certificate = try? Certificate(decoding: bytes) else { return false }
        try require(certificate.encoded == bytes, .notCanonical("certificate"))
        try require(Certificate(certificate.claims) == certificate, .notRoundTrip("certificate"))
        return true
    }

    static func key(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let key = try? ChainContentKey(decoding: bytes) else { return false }
        try require(key.encoded == bytes, .notCanonical("chain key"))
        return true
    }

    /// The answers of the chain network and its ping payload.
    static func content(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        var accepted = false
        if let value = try? HeadersValue(decoding: bytes) {
            accepted = true
            try require(value.encoded(byteLimit: .max) == bytes, .notCanonical("headers"))
            if case .headers(let entries) = value, let entry = entries.first {
                let pushed = NewBlockValue.encode(entry)
                try require(
                    (try? NewBlockValue.decode(pushed, point: entry.point)) == entry, .notRoundTrip("new block"))
            }
        }
        if let payload = try? ChainPingPayload(decoding: bytes) {
            accepted = true
            try require(payload.encoded == bytes, .notCanonical("chain ping payload"))
        }
        let point = bytes.count > 9 ? (try? BlockHeader(rlp: Array(bytes[9...])))?.point : nil
        if let point, let entry = try? NewBlockValue.decode(bytes, point: point) {
            accepted = true
            try require(NewBlockValue.encode(entry) == bytes, .notCanonical("new block"))
        }
        return accepted
    }
}
