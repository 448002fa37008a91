import Chain
import Foundation
import MerklePatricia
import Primitives

/// What several workloads share. Made when first asked for, on the runner's thread.
public final class BenchMaterial {
    /// An empty folder for stores; removed at the end.
    public let directory: String
    private var made: [Int: LeafColumns] = [:]
    private var things: [String: Any] = [:]

    init(directory: String) throws {
        let name = "carousel-bench-\(ProcessInfo.processInfo.processIdentifier)"
        self.directory = URL(fileURLWithPath: directory).appendingPathComponent(name).path
        try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
    }

    func remove() {
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            FileHandle.standardError.write(Data("carousel: \(directory) was not removed: \(error)\n".utf8))
        }
    }

    /// What `make` gives when `name` is first asked for.
    public func shared<Thing>(_ name: String, _ make: () throws -> Thing) rethrows -> Thing {
        if let thing = things[name] as? Thing { return thing }
        let thing = try make()
        things[name] = thing
        return thing
    }

    /// The first `count` accounts of the workload, sorted by key; their values as they stand in the trie.
    public func leaves(_ count: Int) -> LeafColumns {
        if let leaves = made[count] { return leaves }
        let rows = (0..<UInt64(count)).map { (key: BenchMaterial.key($0), index: $0) }.sorted { $0.key < $1.key }
        var columns = LeafColumns()
        columns.reserveCapacity(count, valueBytes: 84 * count)
        for row in rows { columns.append(key: row.key, value: BenchMaterial.account(row.index).rlp) }
        made[count] = columns
        return columns
    }

    /// The key of account `index`: keccak256 of it as eight bytes, big endian.
    public static func key(_ index: UInt64) -> Bytes32 {
        withUnsafeBytes(of: index.bigEndian) { Keccak.hash($0) }
    }

    /// Account `index`: nonce i, balance i·10^15, no storage, no code.
    public static func account(_ index: UInt64) -> StateAccount {
        let balance = UInt256(index).multiplied(by: 1_000_000_000_000_000, adding: 0)
        return StateAccount(nonce: index, balance: balance ?? .zero)
    }
}
