import Chain
import Primitives
import Shell
import StateStore

/// Files of a state, as `carousel import` reads them.
enum ExportDecoder {
    /// What is read, written as lines, reads as the same; and leaves that pass for a state under the root that the file
    /// names are that state.
    static func file(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let items = try? FileText.export(bytes) else { return false }
        let lines = Array(items.map { line($0) + "\n" }.joined().utf8)
        guard case .head(let head)? = items.first else { throw .untruthAccepted("an export without a beginning") }
        // A document says neither of which network it is nor how much it has.
        if head.network != nil {
            try require((try? FileText.export(lines)) == items, .notRoundTrip("an export"))
        }
        return try isState(items, head)
    }

    /// Loads the leaves as an import does, and compares them with a plain reading.
    private static func isState(_ items: [ImportItem], _ head: ImportHead) throws(FuzzFailure) -> Bool {
        let kept = head.storageOf.map { KeptStorage.only($0) } ?? .all
        var loader = StateLoader(depth: 1, at: head.point, keeping: kept)
        var leaves: [MemoryState.Leaf] = []
        var last: Bytes32?
        do throws(LoadError) {
            for item in items {
                switch item {
                case .head, .header, .end: continue
                case .account(let key, let account, let code):
                    try loader.add(key, account, code: code)
                    leaves.append(MemoryState.Leaf(key: FlatKey(account: key), value: account.slim))
                    last = key
                case .slot(let key, let value):
                    try loader.add(slot: key, value)
                    guard let last else { continue }
                    leaves.append(MemoryState.Leaf(key: FlatKey(account: last, slot: key), value: value))
                }
            }
            _ = try loader.finish(head.root)
        } catch {
            return true
        }
        // Of accounts whose storage is left out the root alone is there.
        guard kept.isAll else { return true }
        let state = try? MemoryState(leaves, depth: 1)
        try require(state?.root == head.root, .untruthAccepted("leaves of another state"))
        return true
    }

    /// One line of an export, by its description in Specs/export.md and not by the program's own writer.
    private static func line(_ item: ImportItem) -> String {
        switch item {
        case .head(let head):
            var fields = ["\"carousel\": \"state 1\""]
            if let network = head.network {
                fields += ["\"chainId\": \(network.chainID)", "\"genesisHash\": \"\(hex(network.genesisHash.bytes))\""]
            }
            fields += [
                "\"block\": \(head.point.number)", "\"hash\": \"\(hex(head.point.hash.bytes))\"",
                "\"root\": \"\(hex(head.root.bytes))\"",
            ]
            if let accounts = head.storageOf {
                let list = accounts.map { "\"\(hex($0.bytes))\"" }.joined(separator: ", ")
                fields.append("\"storageOf\": [\(list)]")
            }
            return object(fields)
        case .header(let rlp, let certificate):
            return object(
                ["\"header\": \"\(hex(rlp))\""] + (certificate.map { ["\"certificate\": \"\(hex($0))\""] } ?? []))
        case .account(let key, let account, let code):
            let fields = [
                "\"account\": \"\(hex(key.bytes))\"", "\"nonce\": \(account.nonce)",
                "\"balance\": \"\(account.balance)\"", "\"root\": \"\(hex(account.storageRoot.bytes))\"",
                "\"codeHash\": \"\(hex(account.codeHash.bytes))\"",
            ]
            return object(fields + (code.map { ["\"code\": \"\(hex($0))\""] } ?? []))
        case .slot(let key, let value):
            return object(["\"slot\": \"\(hex(key.bytes))\"", "\"value\": \"\(hex(value))\""])
        case .end(let tally):
            return object([
                "\"accounts\": \(tally.accounts)", "\"slots\": \(tally.slots)", "\"codes\": \(tally.codes)",
            ])
        }
    }

    private static func object(_ fields: [String]) -> String { "{\(fields.joined(separator: ", "))}" }

    private static func hex(_ bytes: [UInt8]) -> String { Hex.prefixed(bytes) }

    /// Small states in both forms, one with the storage of nobody.
    static func seeds() -> [[UInt8]] {
        var generator = SeededGenerator(seed: 92)
        guard let state = try? SampleState(&generator, upTo: 8), let none = try? SampleState([], depth: 1) else {
            return []
        }
        return [lines(of: state), lines(of: none), document(of: state)]
    }

    private static func head(of state: SampleState) -> ImportHead {
        ImportHead(
            network: ClaimContext(chainID: 7, genesisHash: .zero), point: StatePoint(number: 64, hash: .max),
            root: state.root, storageOf: nil)
    }

    private static func lines(of state: SampleState) -> [UInt8] {
        var items: [ImportItem] = [.head(head(of: state)), .header(rlp: [0xc0], certificate: [1])]
        for account in state.accounts {
            items.append(.account(account.key, account.body, code: code(of: account)))
            items += account.slots.map { .slot($0.key, $0.value) }
        }
        let slots = state.accounts.reduce(0) { $0 + $1.slots.count }
        let codes = state.accounts.count { !$0.slots.isEmpty }
        let tally = ExportTally(accounts: UInt64(state.accounts.count), slots: UInt64(slots), codes: UInt64(codes))
        return Array((items + [.end(tally)]).map { line($0) + "\n" }.joined().utf8)
    }

    private static func document(of state: SampleState) -> [UInt8] {
        let accounts = state.accounts.map { account in
            let slots = account.slots.map { "\"\(hex($0.key.bytes))\": \"\(hex($0.value))\"" }
            let own = line(.account(account.key, account.body, code: code(of: account)))
            // The account's key stands before its object.
            let fields = own.dropFirst(1).dropLast(1).split(separator: ", ").dropFirst().joined(separator: ", ")
            let storage = slots.isEmpty ? "" : ", \"storage\": {\(slots.joined(separator: ", "))}"
            return "\"\(hex(account.key.bytes))\": {\(fields)\(storage)}"
        }
        let text = """
            {"block": 64, "hash": "\(hex(Bytes32.max.bytes))", "root": "\(hex(state.root.bytes))",
            "accounts": {\(accounts.joined(separator: ",\n"))}}
            """
        return Array(text.utf8)
    }

    private static func code(of account: SampleState.Account) -> [UInt8]? {
        account.slots.isEmpty ? nil : SampleState.code(UInt8(account.slots.count))
    }
}
