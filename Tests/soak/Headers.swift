import Chain
import Discovery
import Foundation
import Node
import Primitives
import Shell
import StateStore

/// What a start costs over a store of so many headers: time and memory of reading them and of making a node of it.
enum Headers {
    static func run(count: Int) throws -> Bool {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("soak-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let network = try fill(folder.path, count)
        let (before, mappedBefore) = (residentMiB("RssAnon"), residentMiB("RssFile"))
        let began = ContinuousClock.now
        let store = try LMDBStore(directory: folder.path)
        let stored = try StoredState.load(from: try store.snapshot(), network: network)
        var entropy = Entropy(seed: Bytes32(1, 2, 3, 4))
        let configuration = NodeConfiguration(
            network: network, role: .holder, key: IdentityKey(from: &entropy), clientInfo: "carousel/soak")
        let node = try CarouselNode(
            configuration: configuration, stored: stored, entropy: entropy,
            at: Moment(instant: .zero, unixSeconds: 1_800_000_000))
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        let (memory, mapped) = (residentMiB("RssAnon") - before, residentMiB("RssFile") - mappedBefore)
        let text = String(format: "%.3f s, %.0f MiB and %.0f MiB of mapped file", seconds, memory, mapped)
        print("\(count) stored headers: a start takes \(text), reading \(stored.headers.count); node \(node.record.id)")
        return seconds <= 0.5 && memory <= 100
    }

    /// Writes a chain of headers, each with one key's claims.
    private static func fill(_ path: String, _ count: Int) throws -> NetworkConfiguration {
        func header(on parent: BlockHeader?) throws -> BlockHeader {
            try BlockHeader(
                BlockHeader.Fields(
                    parentHash: parent?.hash ?? .zero, stateRoot: Bytes32(1, 2, 3, 4),
                    number: parent.map { $0.number + 1 } ?? 0, timestamp: 1_000))
        }
        guard let key = AttestingKey(seed: Bytes32(7, 7, 7, 7)) else { throw Outcomes<Int>.Failure(reason: "no key") }
        let genesis = try header(on: nil)
        let network = try NetworkConfiguration(
            name: "soak", chainID: 7, genesisHash: genesis.hash, checkpoint: genesis.point, epochLength: 256,
            sectionDepth: 1,
            rule: NetworkConfiguration.Rule(keys: [key.publicKey], threshold: 1, maxAgeSeconds: 3_600))
        let context = ClaimContext(network)
        let store = try LMDBStore(directory: path)
        var (last, before) = (genesis, genesis)
        var batch = HeaderRecords.writing(header: genesis.rlp, at: genesis.point)
        for number in 1...count {
            let next = try header(on: last)
            let claims = [(Claim.Kind.head, next), (.final, before)].map { kind, header in
                key.sign(Claim(kind: kind, point: header.point, unixSeconds: UInt64(number)), in: context)
            }
            batch.append(
                HeaderRecords.writing(header: next.rlp, at: next.point, certificate: Certificate(claims)?.encoded))
            (before, last) = (last, next)
            if number.isMultiple(of: 10_000) || number == count {
                try store.commit(batch)
                batch = WriteBatch()
            }
        }
        return network
    }

    /// Memory of this process, as the kernel counts it: its own (`RssAnon`), or pages of files (`RssFile`), which are
    /// the store's and go when memory is short.
    private static func residentMiB(_ kind: String) -> Double {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(kind) }
        let kilobytes = line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Double($0) } ?? 0
        return kilobytes / 1_024
    }
}
