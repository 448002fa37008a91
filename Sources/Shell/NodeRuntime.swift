import Foundation
import Node

/// A node on the real world: opens what it needs, connects it to an event loop, runs it to its end.
public enum NodeRuntime {
    /// Runs a node as told; the exit code.
    public static func run(_ settings: RuntimeSettings) throws -> Int32 {
        let lock = try settings.dataDirectory.lock()
        withExtendedLifetime(lock) {}
        throw ShellError.system(call: "run", reason: "the node is not connected yet")
    }
}

/// The state that a data directory holds, as JSON.
public enum StateExport {
    /// Writes the whole state at the newest verified block.
    public static func run(dataDirectory: DataDirectory, networkFile: String, output: String?) throws {
        try dataDirectory.requireStore()
        throw ShellError.system(call: "export", reason: "the store is not connected yet")
    }
}
