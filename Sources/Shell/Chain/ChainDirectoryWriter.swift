import Chain
import ChainForge
import Foundation
import Primitives

/// Writes a made chain as a chain directory: `Specs/chain-directory.md` has the form. Everything is written while it is
/// made; nothing of the chain is kept.
public enum ChainDirectoryWriter {
    /// What was written.
    public struct Summary: Sendable {
        /// Header of the last block.
        public internal(set) var head: BlockHeader
        public internal(set) var transactions = 0
        /// Accounts that access lists name, and of these what blocks changed: accounts, and slots in them.
        public internal(set) var listed = 0, changedAccounts = 0, changedSlots = 0
        /// The same without repetition: what all blocks together changed.
        public internal(set) var distinctAccounts = 0, distinctSlots = 0
        /// Accounts, slots and accounts with code of the state after the last block.
        public internal(set) var accounts = 0, slots = 0, contracts = 0
    }

    /// Makes all blocks of `forge` and writes the chain into `directory`, which is made where it is not there.
    /// `network`: of its nodes, whose configuration is written as `network.json`. `progress` hears of every block.
    /// Throws where a file cannot be written or the chain not be made.
    public static func write(
        _ forge: inout ChainForge, of network: MadeNetwork? = nil, to directory: String, isPacked: Bool,
        progress: (UInt64) -> Void = { _ in }
    ) throws -> Summary {
        try begin(forge, of: network, in: directory, isPacked: isPacked)
        func sink(_ name: String) throws -> FileSink { try FileSink(directory + "/" + name, isPacked: isPacked) }
        var summary = Summary(head: forge.genesis)
        let (lists, certificates) = (directory + "/bals.partial", directory + "/certificates.partial")
        let signed = try writeBlocks(
            &forge, to: try sink("chain.rlp"), lists: lists, certificates: certificates, &summary, progress)
        try join(lists, to: try sink("bals.rlp"))
        if signed { try join(certificates, to: try sink(ChainDirectory.certificatesFile)) }
        try writeHead(forge, to: try sink("headstate.json"), &summary)
        return summary
    }

    /// Writes what a node that applies blocks needs of a chain which is made as time passes: a chain directory that has
    /// genesis and no block, with the configuration of its network.
    public static func writeGenesis(of plan: LiveChain.Plan, to directory: String) throws {
        try begin(
            try plan.network.forge(plan.shape, seed: plan.seed), of: plan.network, in: directory, isPacked: false)
        try FileSink(directory + "/chain.rlp", isPacked: false).close()
        for name in ["bals.rlp"] + (plan.network.kind == .committee ? [ChainDirectory.certificatesFile] : []) {
            let lists = try FileSink(directory + "/" + name, isPacked: false)
            try lists.write(RLPWriter.listHeader(contentBytes: 0))
            try lists.close()
        }
    }

    /// Writes what comes before the blocks: genesis, and the network's configuration.
    private static func begin(
        _ forge: ChainForge, of network: MadeNetwork?, in directory: String, isPacked: Bool
    ) throws {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw ShellError.file(path: directory, reason: "cannot be made: \(error.localizedDescription)")
        }
        // A packed file beside a plain one of an earlier run would be two chains in one directory.
        let names = ["genesis.json", "genesis_header.rlp", "chain.rlp", "bals.rlp", "diffs.jsonl", "headstate.json"]
        for name in names + [ChainDirectory.certificatesFile, networkFile] {
            for path in [directory + "/" + name, directory + "/" + name + ".gz"]
            where FileManager.default.fileExists(atPath: path) {
                throw ShellError.file(path: path, reason: "is there already: choose another directory")
            }
        }
        if let network {
            try NetworkConfigurationFile.write(
                network.configuration(above: forge.genesis, chainID: ChainForge.chainID),
                to: directory + "/" + networkFile)
        }
        let header = try FileSink(directory + "/genesis_header.rlp", isPacked: isPacked)
        try header.write(forge.genesis.rlp)
        try header.close()
        try writeGenesis(forge, to: try FileSink(directory + "/genesis.json", isPacked: isPacked))
    }

    /// The configuration of the network whose nodes follow the chain.
    private static let networkFile = "network.json"

    // MARK: Blocks

    /// Gives whether the headers came with certificates.
    private static func writeBlocks(
        _ forge: inout ChainForge, to chain: FileSink, lists path: String, certificates certificatePath: String,
        _ summary: inout Summary, _ progress: (UInt64) -> Void
    ) throws -> Bool {
        let lists = try FileSink(path, isPacked: false)
        var certificates: FileSink?
        // As many as the maker itself has in memory.
        var changed: [Bytes32: Set<Bytes32>] = [:]
        while let made = try forge.next() {
            try chain.write(made.block.rlp)
            try lists.write(made.accessList.rlp)
            if let certificate = made.certificate {
                let sink = try certificates ?? FileSink(certificatePath, isPacked: false)
                certificates = sink
                var writer = RLPWriter()
                writer.append(certificate.encoded)
                try sink.write(writer.bytes)
            }
            let changes = made.accessList.accountChanges
            summary.head = made.block.header
            summary.transactions += made.block.transactions.count
            summary.listed += made.accessList.accounts.count
            summary.changedAccounts += changes.count
            summary.changedSlots += changes.reduce(0) { $0 + $1.storage.count }
            for change in changes { changed[change.key, default: []].formUnion(change.storage.map(\.key)) }
            progress(made.block.header.number)
        }
        summary.distinctAccounts = changed.count
        summary.distinctSlots = changed.values.reduce(0) { $0 + $1.count }
        try chain.close()
        try lists.close()
        try certificates?.close()
        return certificates != nil
    }

    /// Writes one RLP list of the items that a file has, and removes that file: how long they are together is known
    /// only now.
    private static func join(_ path: String, to sink: FileSink) throws {
        let items: Data
        do {
            items = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        } catch {
            throw ShellError.file(path: path, reason: error.localizedDescription)
        }
        try sink.write(RLPWriter.listHeader(contentBytes: items.count))
        var rest = items[...]
        while !rest.isEmpty {
            try sink.write(rest.prefix(1 << 20))
            rest = rest.dropFirst(1 << 20)
        }
        try sink.close()
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw ShellError.file(path: path, reason: error.localizedDescription)
        }
    }

    // MARK: States

    private static func writeGenesis(_ forge: ChainForge, to sink: FileSink) throws {
        let header = forge.genesis
        let fee = header.baseFeePerGas?.big.word3 ?? 0
        try sink.write(
            """
            {
             "config": {"chainId": \(ChainForge.chainID), \(forks), "terminalTotalDifficulty": 0},
             "timestamp": "0x\(String(header.timestamp, radix: 16))", "nonce": "0x0",
             "difficulty": "0x\(String(header.difficulty.big.word3, radix: 16))",
             "gasLimit": "0x\(String(header.gasLimit, radix: 16))", "baseFeePerGas": "0x\(String(fee, radix: 16))",
             "extraData": "0x", "coinbase": "\(header.miner)", "mixHash": "\(header.mixHash)",
             "alloc": {
            """)
        var isFirst = true
        try forge.forEachAccount { account in
            try sink.write(isFirst ? "\n\"" : ",\n\"")
            isFirst = false
            try sink.write(hex: account.address.bytes)
            try sink.write("\": {\"balance\": \"\(account.balance)\", \"nonce\": \"0x")
            try sink.write("\(String(account.nonce, radix: 16))\"")
            if !account.code.isEmpty {
                try sink.write(", \"code\": \"0x")
                try sink.write(hex: account.code)
                try sink.write("\"")
            }
            try write(account.storage, valuePrefix: "0x", isPadded: true, to: sink)
            try sink.write("}")
        }
        try sink.write("\n}}\n")
        try sink.close()
    }

    /// Every fork up to Amsterdam, from genesis on.
    private static var forks: String {
        let blocks = [
            "homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul",
            "berlin", "london",
        ].map { "\"\($0)Block\": 0" }
        let times = ["shanghai", "cancun", "prague", "osaka", "amsterdam"].map { "\"\($0)Time\": 0" }
        return (blocks + times).joined(separator: ", ")
    }

    private static func writeHead(_ forge: ChainForge, to sink: FileSink, _ summary: inout Summary) throws {
        try sink.write("{\"root\": \"\(Hex.encode(forge.head.stateRoot.bytes))\", \"accounts\": {")
        try forge.forEachAccount { account in
            let address = account.address
            try sink.write(summary.accounts == 0 ? "\n\"\(address)\": {" : ",\n\"\(address)\": {")
            summary.accounts += 1
            summary.slots += account.storage.count
            summary.contracts += account.code.isEmpty ? 0 : 1
            try sink.write("\"balance\": \"\(account.balance)\", \"nonce\": \(account.nonce), \"root\": \"0x")
            try sink.write(hex: account.storageRoot.bytes)
            try sink.write("\", \"codeHash\": \"0x")
            try sink.write(hex: account.codeHash.bytes)
            if !account.code.isEmpty {
                try sink.write("\", \"code\": \"0x")
                try sink.write(hex: account.code)
            }
            try sink.write("\"")
            try write(account.storage, valuePrefix: "", isPadded: false, to: sink)
            try sink.write(", \"address\": \"\(address)\", \"key\": \"0x")
            try sink.write(hex: account.key.bytes)
            try sink.write("\"}")
        }
        try sink.write("\n}}\n")
        try sink.close()
    }

    /// Slots as a member of an account, where there are any; values whole, or without leading zeros.
    private static func write(
        _ storage: [(slot: UInt256, value: UInt256)], valuePrefix: String, isPadded: Bool, to sink: FileSink
    ) throws {
        guard !storage.isEmpty else { return }
        try sink.write(", \"storage\": {")
        for (place, entry) in storage.enumerated() {
            try sink.write(place == 0 ? "\"0x" : ", \"0x")
            try sink.write(hex: entry.slot.big.bytes)
            try sink.write("\": \"" + valuePrefix)
            try sink.write(hex: isPadded ? entry.value.big.bytes : entry.value.minimalBytes)
            try sink.write("\"")
        }
        try sink.write("}")
    }
}
