import ArgumentParser
import Discovery
import Foundation
import Primitives
import Shell

extension Carousel {
    /// `carousel doctor`
    struct DoctorCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "doctor",
            abstract: "Tells how peers see a node that runs here, and whether strangers reach it.",
            discussion: """
                Joins discovery with a new identity for a while and prints a line for each thing looked at: ok, warn \
                or fail, what was found, and what helps. Touches no file. Exit code 1 where a line says fail.
                """)

        @Option(
            name: .long,
            help: ArgumentHelp("Records of nodes to ask, comma between them (required).", valueName: "enr"),
            transform: { try BootNodes($0) })
        var bootnodes: BootNodes?

        @Option(
            name: .long,
            help: ArgumentHelp("The UDP port of the node (default: \(Defaults.udpPort)).", valueName: "port"),
            transform: Bounds.port)
        var udpPort = Defaults.udpPort

        @Option(name: .long, help: ArgumentHelp("The address that the node listens on.", valueName: "any|ip"))
        var listenAddress = "any"

        @Option(
            name: .long,
            help: ArgumentHelp("What the node is told of its address.", valueName: "auto|none|extip:IP[:PORT]"))
        var nat = "auto"

        @Option(
            name: .long,
            help: ArgumentHelp("How long to look (default: \(Defaults.secondsOfADoctor)).", valueName: "n"),
            transform: Bounds.whole(1...3_600))
        var seconds = Defaults.secondsOfADoctor

        func run() throws {
            guard let bootnodes, !bootnodes.records.isEmpty else {
                throw ValidationError("--bootnodes is missing: give the record of a node to ask (enr:-...)")
            }
            let isAny = listenAddress == "any"
            guard let listen = Endpoint(parsing: isAny ? "::" : listenAddress, port: udpPort) else {
                throw ValidationError("--listen-address: '\(listenAddress)' is no IP address")
            }
            guard let plan = AddressPlan(nat) else {
                throw ValidationError("--nat: '\(nat)' is none of auto, none and extip:IP[:PORT]")
            }
            var settings = Doctor.Settings(listen: listen, bootNodes: bootnodes.records)
            settings.fallsBackToIPv4 = isAny
            settings.addressPlan = plan
            settings.seconds = seconds
            let isWell = try Doctor(settings).run { finding in
                FileHandle.standardOutput.write(Data((finding.line + "\n").utf8))
            }
            if !isWell { throw ExitCode(1) }
        }
    }
}
