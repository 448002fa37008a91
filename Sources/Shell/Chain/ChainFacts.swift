import Foundation
import Primitives

/// What the demo needs to know of a recorded chain to derive its epochs and its pace: counts and rough sizes, nothing
/// that is believed.
public struct ChainFacts: Sendable {
    /// Name and value, in a fixed order; names fit a shell's variables.
    public let figures: [(name: String, value: String)]

    /// Reads a chain directory; throws naming the file that is missing or broken.
    public init(directory: String) throws {
        let chain = try ChainDirectory(path: directory)
        let genesis = try ChainFacts.sizes(directory + "/genesis.json", member: "alloc")
        let head = try ChainFacts.sizes(directory + "/headstate.json", member: "accounts")
        figures = [
            ("blocks", "\(try chain.lastBlock())"), ("chain_id", "\(chain.chainID)"),
            ("genesis_hash", "\(chain.genesisHeader.hash)"), ("accounts", "\(head.count)"),
            ("genesis_state_bytes", "\(genesis.bytes)"), ("head_state_bytes", "\(head.bytes)"),
            ("largest_account_bytes", "\(head.largest)"),
        ]
    }

    /// The accounts under `member` of a file: how many, about how many bytes on the wire, and the largest of them.
    private static func sizes(
        _ path: String, member: StaticString
    ) throws -> (count: Int, bytes: Int, largest: Int) {
        let data = try FileReading.contents(path)
        var found: (count: Int, bytes: Int, largest: Int)?
        do {
            try data.withUnsafeBytes { buffer in
                var cursor = JSONCursor(buffer)
                try cursor.object { cursor, name in
                    guard name.equals(member), try cursor.isAtObject() else { return try cursor.passOver() }
                    var sum = (count: 0, bytes: 0, largest: 0)
                    var codes = Set<Bytes32>()
                    try cursor.object { cursor, _ in
                        let bytes = try roughBytes(&cursor, besides: &codes)
                        sum = (sum.count + 1, sum.bytes + bytes, max(sum.largest, bytes))
                    }
                    found = sum
                }
                try cursor.finish()
            }
        } catch is JSONCursor.Failure {
            throw ShellError.badFile(path: path, reason: "is no JSON, or is cut off")
        }
        guard let found else { throw ShellError.badFile(path: path, reason: "has no \(member)") }
        return found
    }

    /// About what an account takes on the wire: key, body, slots, and its code, where it is not among those that have
    /// come with another account already.
    private static func roughBytes(_ cursor: inout JSONCursor, besides codes: inout Set<Bytes32>) throws -> Int {
        var bytes = 48
        guard try cursor.isAtObject() else {
            try cursor.passOver()
            return bytes
        }
        try cursor.object { cursor, field in
            if field.equals("code"), let code = try cursor.textOrNumber() {
                guard code.count > 2 else { return }
                bytes += 32
                let isNew = codes.insert(Keccak.hash(UnsafeRawBufferPointer(code))).inserted
                if isNew { bytes += 32 + code.count / 2 }
            } else if field.equals("storage"), try cursor.isAtObject() {
                try cursor.object { cursor, _ in
                    let digits = try cursor.textOrNumber()?.drop { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: "x") }
                    bytes += 33 + ((digits?.count ?? 0) + 1) / 2
                }
            } else if !field.equals("code") {
                try cursor.passOver()
            }
        }
        return bytes
    }
}
