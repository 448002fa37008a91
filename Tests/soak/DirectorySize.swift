import Discovery
import Foundation
import Primitives
import StateContent

@testable import Overlay
@testable import StateNetwork

/// How much memory a bridge's directory takes: three holders for each of 4,096 sections, in the overlay's table and in
/// the directory.
enum DirectorySize {
    static let sections = 4_096, holders = 3

    /// Prints it; whether it is within the bar of 16 MB.
    static func run() throws -> Bool {
        var entropy = Entropy(seed: Bytes32(1, 2, 3, 4))
        let records = try (0..<sections * holders).map { index in
            let key = IdentityKey(from: &entropy)
            var fields = NodeRecordFields(sequence: 1)
            fields.set(endpoint: endpoint(index))
            fields.set(portal: NodeRecord.PortalEntry(lowestVersion: 2, highestVersion: 2, chainID: 1))
            return try fields.signed(by: key).encoded
        }
        let before = residentBytes()
        let capabilities: [UInt16] = [0, 1, 10_101, 65_535]
        var directory = HolderDirectory(role: .bridge, arc: Arc(around: 0, bits: 0, depth: 3))
        for (index, bytes) in records.enumerated() {
            let record = try NodeRecord(decoding: bytes)
            let info = PeerInfo(
                record: record, address: NodeAddress(id: record.id, endpoint: endpoint(index)),
                radius: .mask(bits: 244), capabilities: capabilities, clientInfo: [], lastExtension: nil,
                standing: PeerStanding(), isKept: false)
            let section = Arc(of: record.id, radius: info.radius, depth: 3).sections
            let payload = StatePingPayload(
                role: .holder, radius: info.radius, head: nil,
                served: [AnchorSections(anchor: .init(epoch: 1, hash: .max), runs: [section])])
            directory.told(payload, by: info, at: .zero)
            _ = directory.drain()
        }
        let alone = residentBytes() - before
        var table = NetworkTable(local: .zero, limitsSubnets: true)
        for holder in directory.peers.values {
            let record = holder.record
            guard let endpoint = record.endpoint else { continue }
            let payload = StatePingPayload(role: .holder, radius: .max, head: nil, served: holder.served).encoded
            var peer = TablePeer(
                contact: Contact(record, at: endpoint), radius: .max, capabilities: capabilities,
                clientInfo: Array("carousel/0.1.0".utf8), lastPing: .zero, nextPing: .zero)
            peer.lastExtension = PeerExtension(type: StatePingPayload.type, payload: payload, receivedAt: .zero)
            _ = table.insert(peer)
            _ = table.keep(peer.id)
        }
        let whole = residentBytes() - before
        print(
            "a directory of \(directory.keptCount) kept holders over \(sections) sections: "
                + String(format: "%.1f MB with records and last words, ", Double(alone) / 1e6)
                + String(format: "%.1f MB with the overlay's table of them", Double(whole) / 1e6))
        return alone <= 16_000_000 && directory.keptCount > sections * 2 && table.keptCount > sections * 2
    }

    /// Each in another /24.
    private static func endpoint(_ index: Int) -> Endpoint {
        Endpoint(ipv4: (10 + UInt8(index >> 16), UInt8(index >> 8 & 255), UInt8(index & 255), 1), port: 9_009)
    }

    private static func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let words = text.split(separator: " ")
        return words.count > 1 ? (Int(words[1]) ?? 0) * 4_096 : 0
    }
}
