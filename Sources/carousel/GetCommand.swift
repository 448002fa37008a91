import ArgumentParser
import Chain
import Discovery
import Foundation
import Primitives
import Shell
import StateContent

/// Which account is asked about, and where the answer is to come from.
struct GetOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The address.", valueName: "0xaddress"), transform: StateArguments.address)
    var address: Address

    @OptionGroup var data: DataOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Records of nodes of the network, comma between them: the network is asked, not the data directory.",
            valueName: "enr"),
        transform: { try BootNodes($0) })
    var bootnodes: BootNodes?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The block: the first one of an epoch that is served (default: the newest that is).", valueName: "n"),
        transform: Bounds.whole(UInt64.min...UInt64.max))
    var block: UInt64?

    @Option(
        name: .long,
        help: ArgumentHelp("The address to ask the network from; any is every one.", valueName: "any|ip"))
    var listenAddress = "any"

    @Flag(name: .long, help: "Print JSON, with hex quantities.")
    var json = false

    /// Answers, proven, and prints it.
    func print(_ subject: FoundState.Subject, slots: [UInt256] = []) throws {
        let question = StateQuestion(
            account: address.key, slots: slots.map(\.slotKey), wantsCode: subject == .code)
        let found = FoundState(try answer(question), of: address, slots: slots)
        let isJSON = json || subject == .proof
        let text = isJSON ? try found.json(subject) : found.lines(subject).map { $0 + "\n" }.joined()
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    private func answer(_ question: StateQuestion) throws -> (answer: StateAnswer, source: FoundState.Source) {
        guard let bootnodes, !bootnodes.records.isEmpty else {
            let directory = DataDirectory(data.dataDir)
            let answer = try StateLookup.answer(
                question, block: block, in: directory, networkFile: try data.networkFile())
            return (answer, .directory(directory.path))
        }
        let isAny = listenAddress == "any"
        guard let listen = Endpoint(parsing: isAny ? "::" : listenAddress, port: 0) else {
            throw ValidationError("--listen-address: '\(listenAddress)' is no IP address: write 127.0.0.1 or ::1")
        }
        var settings = RingVisit.Settings(
            networkFile: try data.networkFile(), bootNodes: bootnodes.records, listen: listen)
        settings.fallsBackToIPv4 = isAny
        let answer = try RingVisit(settings).ask(question, block: block)
        return (answer.state, .ring(peers: answer.peers, took: answer.took))
    }
}

extension FoundState {
    /// What was answered, and by whom.
    fileprivate init(_ found: (answer: StateAnswer, source: Source), of address: Address, slots: [UInt256]) {
        self.init(found.answer, of: address, slots: slots, from: found.source)
    }
}

/// Arguments of `carousel get`.
enum StateArguments {
    static func address(_ text: String) throws -> Address {
        guard let address = Address(hex: text), text.hasPrefix("0x") else {
            throw ValidationError("'\(text)' is no address: write 0x and 40 hex digits")
        }
        return address
    }

    static func slot(_ text: String) throws -> UInt256 {
        guard let slot = UInt256(slot: text) else {
            throw ValidationError("'\(text)' is no slot: write 0x and up to 64 hex digits, or a decimal number")
        }
        return slot
    }
}

extension Carousel {
    /// `carousel get`
    struct Get: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Answers what an account has, proven under an attested header.",
            discussion: """
                Out of a data directory, which may be that of a running node; with --bootnodes from the network: it is \
                joined with a key for the occasion, the headers are fetched from the network's checkpoint on, and one \
                question is asked. The answer is that of the first block of an epoch, the newest that is served. \
                Nothing is printed that was not proven; that there is no such account is proven too, and told with \
                zero values and exit code 0.
                  carousel get account 0x00…aa --network net.json --data-dir ./state
                  carousel get storage 0x00…aa 0x0 --network net.json --bootnodes enr:-...
                """,
            subcommands: [GetAccount.self, GetStorage.self, GetCode.self, GetProof.self])
    }

    /// `carousel get account`
    struct GetAccount: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "account", abstract: "Balance, nonce, code hash and storage root of an account.")

        @OptionGroup var options: GetOptions

        func run() throws { try options.print(.account) }
    }

    /// `carousel get storage`
    struct GetStorage: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "storage", abstract: "The value of one storage slot of an account.")

        @OptionGroup var options: GetOptions

        @Argument(help: ArgumentHelp("The slot, hex or decimal.", valueName: "slot"), transform: StateArguments.slot)
        var slot: UInt256

        func run() throws { try options.print(.storage, slots: [slot]) }
    }

    /// `carousel get code`
    struct GetCode: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "code", abstract: "The code of an account.")

        @OptionGroup var options: GetOptions

        func run() throws { try options.print(.code) }
    }

    /// `carousel get proof`
    struct GetProof: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "proof", abstract: "An account and slots of it with their proofs, as eth_getProof gives them.")

        @OptionGroup var options: GetOptions

        @Argument(help: ArgumentHelp("Slots, hex or decimal.", valueName: "slot"), transform: StateArguments.slot)
        var slots: [UInt256] = []

        func run() throws { try options.print(.proof, slots: slots) }
    }
}
