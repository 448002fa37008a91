import ArgumentParser
import Discovery
import Foundation
import Primitives
import Shell

extension Carousel {
    /// `carousel key`
    struct Key: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes and shows keys.",
            discussion: """
                Secrets are files that only their owner may read; they are never overwritten and never printed.
                  carousel key node node.key                    a node's identity; prints its id
                  carousel key node node.key --id-prefix 0x8/1  one whose id begins with the bit 1
                  carousel key signing signing.key              an attesting key; prints the public key for 'rule.keys'
                  carousel key show node.key                    what a file holds
                """,
            subcommands: [NodeKey.self, SigningKey.self, ShowKey.self])
    }

    /// `carousel key node`
    struct NodeKey: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "node", abstract: "Makes a node's identity (secp256k1).")

        @Argument(help: ArgumentHelp("The file to write.", valueName: "file"))
        var file: String

        @Option(
            name: .long,
            help: ArgumentHelp(
                "The beginning of the id: 0x8/1 is a first bit of 1, 0x4a the first eight bits; at most 24 bits.",
                valueName: "hex[/bits]"),
            transform: { text in
                guard let prefix = IDPrefix(text) else {
                    throw ValidationError("write hex digits and, if not all their bits are wanted, a number: 0x8/1")
                }
                return prefix
            })
        var idPrefix: IDPrefix?

        func run() throws {
            var entropy = SystemEntropy.make()
            let key = try makeKey(&entropy)
            try KeyFile.write(key.exportSecret(), to: file)
            print("id=\(Hex.prefixed(key.nodeID.bytes))")
        }

        private func makeKey(_ entropy: inout Entropy) throws -> IdentityKey {
            guard let idPrefix else { return IdentityKey(from: &entropy) }
            // A miss after 32 times the expected number of tries has a chance of e^-32.
            let attempts = 32 << idPrefix.bits
            guard
                let key = IdentityKey(
                    idPrefix: idPrefix.prefix, bits: idPrefix.bits, from: &entropy, attempts: attempts)
            else { throw ShellError.noSuchKey(attempts: attempts) }
            return key
        }
    }

    /// `carousel key signing`
    struct SigningKey: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "signing", abstract: "Makes a key that attests blocks (Ed25519).")

        @Argument(help: ArgumentHelp("The file to write.", valueName: "file"))
        var file: String

        func run() throws {
            let seed = SystemEntropy.seed().bytes
            try KeyFile.write(seed, to: file)
            print("public=\(Hex.prefixed(KeyFile.signingPublicKey(ofSeed: seed).bytes))")
        }
    }

    /// `carousel key show`
    struct ShowKey: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Shows the id and the public keys of a key file.")

        @Argument(help: ArgumentHelp("The file to read.", valueName: "file"))
        var file: String

        func run() throws {
            let secret = try KeyFile.read(file)
            if let key = IdentityKey(bytes: secret) { print("id=\(Hex.prefixed(key.nodeID.bytes))") }
            print("public=\(Hex.prefixed(KeyFile.signingPublicKey(ofSeed: secret).bytes))")
        }
    }
}
