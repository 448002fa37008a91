import Chain
import Primitives

/// `bal.json`: block access lists, account bodies in both forms, and the snap messages that carry them.
public enum AccessListVectors: VectorSuite {
    /// The name of such files.
    public static let fileName = "bal.json"

    /// Runs the lists, the account bodies and the messages.
    public static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for vector in try file["cases"].array {
            outcomes.append(CaseOutcome.judge(try vector["name"].string, vector) { try check(list: vector) })
        }
        for vector in try file["slimAccounts"].ifPresent?.array ?? [] {
            outcomes.append(CaseOutcome.judge(try vector["name"].string, vector) { try check(account: vector) })
        }
        for vector in try file["snapMessages"].ifPresent?.array ?? [] {
            outcomes.append(CaseOutcome.judge(try vector["name"].string, vector) { try check(message: vector) })
        }
        return outcomes
    }

    // MARK: Lists

    /// A hash that does not fit the bytes makes the file wrong, not the list invalid.
    private static func check(list vector: JSONValue) throws -> String? {
        let bytes = try vector["rlp"].hex
        if let hash = try vector["hash"].ifPresent?.bytes32, Keccak.hash(bytes) != hash {
            throw VectorError.malformed("hash is not that of rlp")
        }
        let list = try BlockAccessList(rlp: bytes)
        if let expected = try vector["headerBlockAccessListHash"].ifPresent?.bytes32, list.hash != expected {
            throw ChainError.accessListHashMismatch(expected: expected, found: list.hash)
        }
        try list.verifyLimits(
            transactionCount: try vector["transactions"].ifPresent?.int,
            gasLimit: try vector["blockGasLimit"].ifPresent?.uint64)
        var differences = [CaseOutcome.difference("re-encoding", bytes: list.rlp, bytes)]
        if let items = try vector["items"].ifPresent?.int {
            differences.append(CaseOutcome.difference("number of items", list.itemCount, items))
        }
        if let accounts = try vector["accounts"].ifPresent?.array {
            let expected = try accounts.map { try account($0) }
            differences.append(list.accounts == expected ? nil : "accounts differ from those given")
            let rebuilt = try BlockAccessList(expected)
            differences.append(CaseOutcome.difference("encoding of the accounts given", bytes: rebuilt.rlp, bytes))
        }
        return differences.compactMap { $0 }.first
    }

    private static func account(_ value: JSONValue) throws -> BlockAccessList.Account {
        guard let address = Address(try value["address"].hex) else {
            throw VectorError.malformed("an address is not 20 bytes")
        }
        var account = BlockAccessList.Account(address: address)
        account.storageChanges = try value["storageChanges"].array.map { slot in
            BlockAccessList.SlotChanges(
                slot: try slot["slot"].uint256,
                changes: try changes(slot["slotChanges"]) { try $0["postValue"].uint256 })
        }
        account.storageReads = try value["storageReads"].array.map { try $0.uint256 }
        account.balanceChanges = try changes(value["balanceChanges"]) { try $0["postBalance"].uint256 }
        account.nonceChanges = try changes(value["nonceChanges"]) { try $0["postNonce"].uint64 }
        account.codeChanges = try changes(value["codeChanges"]) { try $0["newCode"].hex }
        return account
    }

    private static func changes<Value>(
        _ list: JSONValue, _ value: (JSONValue) throws -> Value
    ) throws -> [BlockAccessList.Change<Value>] {
        try list.array.map { change in
            guard let index = UInt32(exactly: try change["blockAccessIndex"].uint64) else {
                throw VectorError.malformed("an index over 32 bits")
            }
            return BlockAccessList.Change(index: index, value: try value(change))
        }
    }

    // MARK: Accounts

    private static func check(account vector: JSONValue) throws -> String? {
        let (full, slim) = (try vector["full"].hex, try vector["slim"].hex)
        let expected = StateAccount(
            nonce: try vector["nonce"].uint64, balance: try vector["balance"].uint256,
            storageRoot: try vector["storageRoot"].bytes32, codeHash: try vector["codeHash"].bytes32)
        let differences = [
            CaseOutcome.difference("account read from full", try StateAccount(rlp: full), expected),
            CaseOutcome.difference("account read from slim", try StateAccount(slim: slim), expected),
            CaseOutcome.difference("full", bytes: expected.rlp, full),
            CaseOutcome.difference("slim", bytes: expected.slim, slim),
        ]
        return differences.compactMap { $0 }.first
    }

    // MARK: Messages

    private static func check(message vector: JSONValue) throws -> String? {
        let payload = try vector["payload"].hex
        var reader = try RLPReader.list(payload)
        let id = try vector["id"].int
        let again = try RLPWriter.list { writer in
            writer.append(try reader.nextUInt64())
            switch id {
            case 0: try rangeRequest(&reader, &writer, accounts: false)
            case 1: try accountRange(&reader, &writer)
            case 2: try rangeRequest(&reader, &writer, accounts: true)
            case 3: try storageRanges(&reader, &writer)
            case 4, 8:
                try hashes(&reader, &writer)
                writer.append(try reader.nextUInt64())
            case 5: try strings(&reader, &writer)
            case 9: try accessLists(&reader, &writer)
            default: throw VectorError.malformed("no message has the id \(id)")
            }
            try reader.finish()
        }
        return CaseOutcome.difference("re-encoding", bytes: again, payload)
    }

    /// A list item by item.
    private static func list(
        _ reader: inout RLPReader, _ writer: inout RLPWriter, _ item: (inout RLPReader, inout RLPWriter) throws -> Void
    ) throws {
        var inner = try reader.nextList()
        try writer.appendList { list in while !inner.isAtEnd { try item(&inner, &list) } }
    }

    private static func hashes(_ reader: inout RLPReader, _ writer: inout RLPWriter) throws {
        try list(&reader, &writer) { $1.append(try $0.nextBytes32()) }
    }

    private static func strings(_ reader: inout RLPReader, _ writer: inout RLPWriter) throws {
        try list(&reader, &writer) { $1.append(try $0.nextBytes()) }
    }

    private static func rangeRequest(
        _ reader: inout RLPReader, _ writer: inout RLPWriter, accounts: Bool
    ) throws {
        writer.append(try reader.nextBytes32())
        if accounts { try hashes(&reader, &writer) }
        writer.append(try reader.nextBytes32())
        writer.append(try reader.nextBytes32())
        writer.append(try reader.nextUInt64())
    }

    private static func accountRange(_ reader: inout RLPReader, _ writer: inout RLPWriter) throws {
        try list(&reader, &writer) { reader, writer in
            var pair = try reader.nextList()
            try writer.appendList { item in
                item.append(try pair.nextBytes32())
                item.append(raw: try StateAccount(slim: try pair.nextRaw()).slim)
                try pair.finish()
            }
        }
        try strings(&reader, &writer)
    }

    private static func storageRanges(_ reader: inout RLPReader, _ writer: inout RLPWriter) throws {
        try list(&reader, &writer) { reader, writer in
            try list(&reader, &writer) { reader, writer in
                var pair = try reader.nextList()
                try writer.appendList { item in
                    item.append(try pair.nextBytes32())
                    item.append(try pair.nextBytes())
                    try pair.finish()
                }
            }
        }
        try strings(&reader, &writer)
    }

    /// Each a list, or an empty string where it is not available.
    private static func accessLists(_ reader: inout RLPReader, _ writer: inout RLPWriter) throws {
        try list(&reader, &writer) { reader, writer in
            if try reader.nextIsList() {
                writer.append(raw: try BlockAccessList(rlp: try reader.nextRaw()).rlp)
            } else {
                guard try reader.nextBytes().isEmpty else { throw RLPError.expectedList }
                writer.append([])
            }
        }
    }
}
