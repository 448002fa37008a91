import Foundation
import Testing

@testable import Shell

/// A devnet as a user runs it, with the program itself.
@Suite("A devnet", .serialized) struct DevnetTests {
    private static let small = [
        "devnet", "--nodes", "2", "--accounts", "64", "--transactions", "2", "--block-seconds", "1", "--epoch-length",
        "4", "--undo-depth", "6", "--term-length", "3",
    ]

    /// Blocks are made, a client walks, another applies them all, and in the end nothing is left.
    @Test(
        .timeLimit(.minutes(3)),
        arguments: [["--rule", "proofOfWork", "--makers", "2"], ["--rule", "committee", "--line-delay", "30"]])
    func itRunsUntilAllClientsHaveTheState(options: [String]) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("devnet-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        guard
            let outcome = try Program.run(
                Self.small + options + ["--block-by-block", "--until-synced", "--data-dir", folder.path])
        else { return }
        #expect(outcome.code == 0, "\(outcome.output) \(outcome.errors)")
        for word in ["client has the whole state", "blocks has the whole state", "all have ended"] {
            #expect(outcome.output.contains(word), "\(outcome.output)")
        }
        for name in ["node-1", "bridge", "node-2", "client", "blocks"] {
            // Whose lock can be taken has ended.
            _ = try DataDirectory(folder.path + "/" + name).lock()
        }
        // It begins anew each time, and never where something is.
        let again = try Program.run(Self.small + ["--data-dir", folder.path])
        #expect(again?.code == 1)
        #expect(again?.errors.contains("is not empty: every devnet begins anew") == true)
    }

    @Test func whatCannotBeIsSaidBeforeAnythingBegins() throws {
        let wrong: [([String], String)] = [
            (["--rule", "committee", "--fork-every", "20"], "a committee that signs two lines stops every node"),
            (["--fork-every", "5"], "write a whole number, 12 to 1000000"),
            (["--nodes", "1", "--lose-node", "5"], "--lose-node needs --nodes 2 at least"),
            (["--line-rate", "1KiB/s"], "--line-rate must be 4KiB/s at least"),
        ]
        for (arguments, word) in wrong {
            guard let outcome = try Program.run(["devnet", "--ephemeral"] + arguments) else { return }
            #expect(outcome.code == 2 && outcome.errors.contains(word), "\(outcome.errors)")
        }
    }
}
