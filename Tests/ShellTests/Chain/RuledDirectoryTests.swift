import Chain
import ChainForge
import Discovery
import Foundation
import Node
import Primitives
import Testing

@testable import Shell

/// Chain directories whose headers are mined, or come with a committee's certificates.
@Suite("Chain directories under each rule") struct RuledDirectoryTests {
    /// A made chain of seven blocks, with its network's file.
    private final class Made {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("ruled-\(UUID().uuidString)").path
        let network: MadeNetwork

        init(_ network: MadeNetwork, isPacked: Bool = false) throws {
            self.network = network
            var forge = try network.forge(ForgeShape(accounts: 64, blocks: 7, transactions: 2), seed: 9)
            _ = try ChainDirectoryWriter.write(&forge, of: network, to: path, isPacked: isPacked)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        var certificates: String { path + "/certificates.rlp" }

        /// Reads all blocks; gives their headers.
        func entries() throws -> [CertifiedHeader] {
            let blocks = try ChainDirectory(path: path).blocks()
            var entries: [CertifiedHeader] = []
            while let block = try blocks.next() {
                entries.append(CertifiedHeader(header: block.header, certificate: block.certificate))
            }
            return entries
        }
    }

    private static let committees = MadeNetwork(.committees(MadeCommittees(seed: 9, size: 3, termLength: 3)))

    private static func work() throws -> MadeNetwork {
        let terms = try WorkTerms(
            minimumDifficulty: 2, blockSeconds: 10, aheadSeconds: 15, undoDepth: 6, minimumWork: 0)
        return MadeNetwork(.work(terms, difficulty: 16))
    }

    @Test(arguments: [false, true]) func theNetworksOwnRuleTakesEveryHeader(isPacked: Bool) throws {
        for network in [Self.committees, try Self.work()] {
            let made = try Made(network, isPacked: isPacked)
            let configuration = try NetworkConfigurationFile.read(made.path + "/network.json")
            #expect(configuration.rule.kind == network.kind)
            let directory = try ChainDirectory(path: made.path)
            #expect(directory.hasCertificates == (network.kind == .committee))
            var chain = AttestedChain(configuration: configuration)
            _ = try chain.accept([CertifiedHeader(header: directory.genesisHeader)] + made.entries())
            #expect(chain.head.number == 7)
        }
    }

    /// Every way in which the file can be wrong is named with the block.
    @Test func certificatesThatAreNoneAreNamed() throws {
        let made = try Made(Self.committees)
        let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: made.certificates)))
        var reader = try RLPReader.list(good)
        var items: [[UInt8]] = []
        while !reader.isAtEnd { items.append(try reader.nextRaw()) }
        #expect(items.count == 7)
        func error(_ items: [[UInt8]], cut: Int = 0) throws -> ChainDirectoryError? {
            let list = RLPWriter.list { for item in items { $0.append(raw: item) } }
            try Data(list.dropLast(cut)).write(to: URL(fileURLWithPath: made.certificates))
            do { _ = try made.entries() } catch let error as ChainDirectoryError { return error }
            return nil
        }
        func text(_ bytes: [UInt8]) -> [UInt8] {
            var writer = RLPWriter()
            writer.append(bytes)
            return writer.bytes
        }
        let file = made.certificates
        #expect(try error(items) == nil)
        #expect(try error(items.dropLast()) == .wrongCount(file: file, block: 7))
        #expect(try error(items + [items[6]]) == .wrongCount(file: file, block: 7))
        #expect(try error(items, cut: 1) == .cut(file: file, block: 7))
        var changed = items
        changed[2] = RLPWriter.list { $0.append(UInt64(1)) }
        #expect(
            try error(changed)
                == .malformed(file: file, block: 3, "has a certificate that is no byte string"))
        changed[2] = text([1, 2, 3])
        #expect(try error(changed) == .invalid(file: file, block: 3, .certificate(.wrongSize(bytes: 3))))
        changed[2] = text([UInt8](repeating: 1, count: ChainLimits.certificateBytes + 1))
        #expect(
            try error(changed)
                == .malformed(
                    file: file, block: 3,
                    "an item of \(ChainLimits.certificateBytes + 1) bytes, more than any block has"))
    }

    /// A committee's chain without its certificates: nobody would believe a block of it, so the bridge does not begin.
    @Test func aBridgeAsksForTheCertificates() throws {
        let made = try Made(Self.committees)
        var settings = RuntimeSettings(
            role: .bridge, dataDirectory: DataDirectory(made.path + "/data"),
            networkFile: made.path + "/network.json", listen: Endpoint(ipv4: (127, 0, 0, 1), port: 0))
        settings.replay = RuntimeSettings.Replay(
            chainDirectory: made.path, blocksPerSecond: 1, finalityDepth: 0, signingKeyFiles: [])
        try NodeRuntime.check(settings)
        try FileManager.default.removeItem(atPath: made.certificates)
        #expect(
            throws: ShellError.badFile(
                path: made.path,
                reason: "has no certificates.rlp, and a committee signs the blocks of \(made.path)/network.json: give "
                    + "a chain with its certificates")
        ) { try NodeRuntime.check(settings) }
        // Whoever takes genesis alone from it needs none.
        settings.replay = RuntimeSettings.Replay(genesisOf: made.path)
        try NodeRuntime.check(settings)
    }
}
