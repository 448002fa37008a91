import Chain
import Foundation
import Primitives

/// The readers of files that people write, on bytes that are in memory: for fuzzing, which has no disk.
package enum FileText {
    /// A network's configuration.
    package static func network(_ bytes: [UInt8]) throws -> NetworkConfiguration {
        try NetworkConfigurationFile.decode(Data(bytes), file: "net.json")
    }

    /// The file that `network` reads.
    package static func text(of network: NetworkConfiguration) -> [UInt8] {
        Array(NetworkConfigurationFile.encode(network).utf8)
    }

    /// A genesis: its chain id and its allocation.
    package static func genesis(_ bytes: [UInt8]) throws -> (chainID: UInt64, accounts: [GenesisAccount]) {
        let file = GenesisFile(bytes: Data(bytes), file: "genesis.json")
        return (try file.chainID(), try file.accounts())
    }

    /// The blocks of a chain directory with their changes, from the contents of its files. `diffs`: the changes are
    /// `diffs.jsonl`, else `bals.rlp`.
    package static func blocks(
        genesisHeader: [UInt8], chain: [UInt8], changes: [UInt8], diffs: Bool
    ) throws -> [ChainBlock] {
        let genesis = try ChainDirectory.genesisHeader(
            ChainFileReader(bytes: genesisHeader, path: "genesis_header.rlp"))
        let kind = diffs ? ChainDirectory.Changes.diffs : .accessLists
        let reader = try ChainBlockReader(
            chain: ChainFileReader(bytes: chain, path: "chain.rlp"),
            changes: ChainFileReader(bytes: changes, path: kind.fileName), kind: kind, genesis: genesis)
        var blocks: [ChainBlock] = []
        while let block = try reader.next() { blocks.append(block) }
        return blocks
    }

    /// What a file of a state says, in either form, as an import reads it: nothing of it is believed yet.
    package static func export(_ bytes: [UInt8]) throws -> [ImportItem] {
        var items: [ImportItem] = []
        try bytes.withUnsafeBytes { bytes in
            var reader = ImportReader(bytes)
            try reader.read { item, _ in items.append(item) }
        }
        return items
    }
}
