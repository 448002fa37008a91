import ArgumentParser
import Foundation
import Shell

/// The command line. Parses, runs, prints; no logic.
@main
struct Carousel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "carousel",
        abstract: "Keeps and fetches an Ethereum state in a distributed hash table, each node a part of it.",
        discussion: """
            Every network has a configuration file (--network) that names its chain, its epochs and the keys that \
            attest its head. 'carousel sync' fetches the whole state from nodes that hold parts of it, verifies every \
            range against attested block headers, and follows the chain. 'carousel run' holds a part and serves it. \
            'carousel bridge' brings a chain's blocks into the network.

            A first session:
              carousel sync --network net.json --bootnodes enr:-... --until-synced
              carousel export --network net.json --output state.json

            Exit codes: 0 done, 1 failed, 2 wrong usage.
            """,
        subcommands: [
            Run.self, Sync.self, Bridge.self, DevnetCommand.self, NetworkCommand.self, Config.self, Get.self,
            Status.self, Peers.self,
            Export.self, Import.self, Certificate.self, Verify.self, DoctorCommand.self, Vectors.self, Bench.self,
            Key.self, Enr.self, Version.self, Developer.self,
        ])

    /// Every error is one line on standard error: wrong usage ends with 2, a failure with 1.
    static func main() {
        var settings: Settings?
        do {
            settings = try Settings(
                Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment)
            var command = try parseAsRoot(settings?.arguments)
            if let node = command as? any NodeCommand {
                try node.run(telling: settings?.settings?.lines ?? [])
            } else {
                try command.run()
            }
        } catch let code as ExitCode {
            exit(code)
        } catch {
            exit(printing: error, settings)
        }
    }

    private static func exit(_ code: ExitCode) -> Never { Foundation.exit(code.rawValue) }

    private static func exit(printing error: any Error, _ settings: Settings?) -> Never {
        switch error is SettingsError ? .validationFailure : exitCode(for: error) {
        case .success:
            print(fullMessage(for: error))
            Foundation.exit(0)
        case .validationFailure:
            let text = error is SettingsError ? ErrorLine.text(error) : message(for: error)
            let line = oneLine(text) + (settings?.origin(ofErrorIn: text) ?? "")
            FileHandle.standardError.write(Data("carousel: \(line) (more: carousel help)\n".utf8))
            Foundation.exit(2)
        default:
            FileHandle.standardError.write(Data("carousel: \(ErrorLine.text(error))\n".utf8))
            Foundation.exit(1)
        }
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " ")
    }
}
