import Chain
import StateStore

/// Reading the store of a data directory, which a running process may be writing meanwhile.
enum StoreAccess {
    /// Runs `body` on the state after the last commit. What the store says of itself, and what is found damaged in it,
    /// is told with the directory and the cure.
    static func withSnapshot<Result>(
        of directory: DataDirectory, networkFile: String,
        _ body: (LMDBSnapshot, NetworkConfiguration) throws -> Result
    ) throws -> Result {
        let network = try NetworkConfigurationFile.read(networkFile)
        try directory.requireStore()
        return try telling(directory, networkFile) {
            var options = LMDBStore.Options()
            options.isReadOnly = true
            let snapshot = try LMDBStore(directory: directory.storePath, options: options).snapshot()
            guard try StoreMeta.check(snapshot, for: network) else { throw StoreError.missing }
            return try body(snapshot, network)
        }
    }

    /// Runs `body`; errors of the store come out with the directory and the cure.
    static func telling<Result>(
        _ directory: DataDirectory, _ networkFile: String, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch let error as StoreError {
            throw ShellError(error, dataDirectory: directory, networkFile: networkFile)
        } catch let fault as StateFault {
            throw ShellError.damaged(path: directory.path, fault, others: 0)
        }
    }
}
