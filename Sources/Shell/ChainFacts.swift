import Foundation
import Primitives

/// What the demo needs to know of a recorded chain to derive its epochs and its pace: counts and rough sizes, nothing
/// that is believed.
public struct ChainFacts: Sendable {
    /// Name and value, in a fixed order; names fit a shell's variables.
    public let figures: [(name: String, value: String)]

    /// Reads a chain directory; throws naming the file that is missing or broken.
    public init(directory: String) throws(ShellError) {
        let genesis = try ChainFacts.json(directory + "/genesis.json")
        let header = try FileReading.contents(directory + "/genesis_header.rlp")
        let head = try ChainFacts.json(directory + "/headstate.json")
        guard let config = genesis["config"] as? [String: Any], let chainID = config["chainId"] as? NSNumber,
            let alloc = genesis["alloc"] as? [String: Any]
        else { throw .badFile(path: directory + "/genesis.json", reason: "has no config.chainId or no alloc") }
        guard let accounts = head["accounts"] as? [String: Any] else {
            throw .badFile(path: directory + "/headstate.json", reason: "has no accounts")
        }
        figures = [
            ("blocks", "\(try ChainFacts.blockCount(directory + "/chain.rlp"))"),
            ("chain_id", "\(chainID.uint64Value)"),
            ("genesis_hash", Hex.prefixed(Keccak.hash(Array(header)).bytes)),
            ("accounts", "\(accounts.count)"),
            ("genesis_state_bytes", "\(alloc.values.reduce(0) { $0 + ChainFacts.roughBytes($1) })"),
            ("head_state_bytes", "\(accounts.values.reduce(0) { $0 + ChainFacts.roughBytes($1) })"),
            ("largest_account_bytes", "\(accounts.values.map(ChainFacts.roughBytes).max() ?? 0)"),
        ]
    }

    private static func json(_ path: String) throws(ShellError) -> [String: Any] {
        let data = try FileReading.contents(path)
        guard let value = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw .badFile(path: path, reason: "is no JSON object")
        }
        return value
    }

    /// Blocks of an export: RLP lists one after the other.
    private static func blockCount(_ path: String) throws(ShellError) -> Int {
        let bytes = Array(try FileReading.contents(path))
        var reader = RLPReader(bytes)
        var count = 0
        do {
            while !reader.isAtEnd {
                _ = try reader.nextList()
                count += 1
            }
        } catch {
            throw .badFile(path: path, reason: "block \(count + 1) is no RLP, or is cut off: \(error)")
        }
        return count
    }

    /// About what an account takes on the wire: key, body, slots, code.
    private static func roughBytes(_ account: Any) -> Int {
        let fields = account as? [String: Any] ?? [:]
        let code = ((fields["code"] as? String)?.count ?? 0) / 2
        let slots = (fields["storage"] as? [String: Any] ?? [:]).values.reduce(0) { sum, value in
            let digits = (value as? String ?? "").drop { $0 == "0" || $0 == "x" }.count
            return sum + 33 + (digits + 1) / 2
        }
        return 48 + (code > 0 ? 64 : 0) + code + slots
    }
}
