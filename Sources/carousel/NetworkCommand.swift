import ArgumentParser
import Foundation
import Primitives
import Shell

extension Carousel {
    /// `carousel network`
    struct NetworkCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "network", abstract: "Makes the configuration of a new network.",
            subcommands: [NewNetworkCommand.self])
    }

    /// `carousel network new`
    struct NewNetworkCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new",
            abstract: "Makes a network's configuration file and its attesting keys.",
            discussion: """
                Writes NAME.json and a key for each that is to attest the head (NAME-1.key and so on), prints their \
                paths, and touches nothing that is there. Give the file to every node, and each key to one bridge:
                  carousel network new mine --chain DIR --output .
                  carousel bridge --network mine.json --signing-key-file mine-1.key --chain DIR --bootnodes none
                """)

        @Argument(help: ArgumentHelp("The network's name, for people, logs and files.", valueName: "name"))
        var name: String

        @Option(
            name: .long,
            help: ArgumentHelp("A recorded chain whose id and genesis are the network's.", valueName: "dir"))
        var chain: String?

        @Option(
            name: .long, help: ArgumentHelp("The chain's id, where no --chain is given.", valueName: "n"),
            transform: Bounds.whole(1...UInt64.max))
        var chainId: UInt64?

        @Option(
            name: .long,
            help: ArgumentHelp("The hash of the chain's genesis header, where no --chain is given.", valueName: "hash"),
            transform: { text in
                guard let hash = Bytes32(hex: text) else { throw ValidationError("write 0x and 64 hex digits") }
                return hash
            })
        var genesisHash: Bytes32?

        @Option(
            name: .long, help: ArgumentHelp("How many attesting keys to make (default: 1).", valueName: "n"),
            transform: Bounds.whole(1...64))
        var keys: UInt64 = 1

        @Option(
            name: .long,
            help: ArgumentHelp("How many of them must sign (default: more than half).", valueName: "n"),
            transform: Bounds.whole(1...64))
        var threshold: UInt64?

        @Option(
            name: .long, help: ArgumentHelp("Blocks of an epoch (default: 256).", valueName: "n"),
            transform: Bounds.whole(1...65_536))
        var epochLength: UInt64 = 256

        @Option(
            name: .long,
            help: ArgumentHelp("The ring has 16^d sections: 1 for hundreds of accounts (default: 2).", valueName: "d"),
            transform: Bounds.whole(1...3))
        var sectionDepth: UInt64 = 2

        @Option(
            name: .long,
            help: ArgumentHelp(
                "From how wide on storage is spread round the ring (default: it is not; 3: some 110,000 slots).",
                valueName: "w"),
            transform: Bounds.whole(1...64))
        var wideDepth: UInt64?

        @Option(
            name: .long,
            help: ArgumentHelp(
                "An attested head that is older is told as stale (default: 3600).", valueName: "seconds"),
            transform: Bounds.whole(1...UInt64(UInt32.max)))
        var maxAge: UInt64 = 3600

        @Option(name: .long, help: ArgumentHelp("The folder to write to.", valueName: "dir"))
        var output = "."

        func run() throws {
            var network: NewNetwork
            switch (chain, chainId, genesisHash) {
            case (let chain?, nil, nil): network = try NewNetwork(name: name, chainDirectory: chain)
            case (nil, let id?, let hash?): network = NewNetwork(name: name, chainID: id, genesisHash: hash)
            default: throw ValidationError("give --chain, or --chain-id and --genesis-hash")
            }
            guard !name.contains("/"), !name.hasPrefix("."), !name.isEmpty else {
                throw ValidationError("'\(name)' is no name of a file: use letters, digits and dashes")
            }
            network.keys = Int(keys)
            network.threshold = Int(threshold ?? keys / 2 + 1)
            network.epochLength = epochLength
            network.sectionDepth = Int(sectionDepth)
            network.wideDepth = wideDepth.map { Int($0) }
            network.maxAgeSeconds = maxAge
            for path in try network.write(to: output) { print(path) }
        }
    }
}
