import Chain
import Foundation
import StateStore

/// Begins the store of a holder anew, whose file is damaged or whose records do not fit each other: what it held is
/// fetched from the ring again.
public enum StoreRebuild {
    /// What is of no use without the state that it tells of, by name.
    private static let forgotten = ["complete-anchor", "head-proof", "replayed"]

    /// Throws the store away and makes another one with what can still be read of the node's own: nodes and holders
    /// that are known, the number of its record, the size of its arc. Its key lies beside the store and is not touched.
    ///
    /// Throws for a directory that is in use, or that is another network's.
    public static func run(_ directory: DataDirectory, networkFile: String) throws {
        let network = try NetworkConfigurationFile.read(networkFile)
        let lock = try directory.lock()
        defer { withExtendedLifetime(lock) {} }
        let kept = try StoreAccess.telling(directory, networkFile) { try own(of: directory, network) }
        do {
            try FileManager.default.removeItem(atPath: directory.storePath)
        } catch {
            throw ShellError.file(path: directory.storePath, reason: "cannot be removed: check the permissions")
        }
        try StoreAccess.telling(directory, networkFile) {
            try FileManager.default.createDirectory(
                atPath: directory.storePath, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let store = try LMDBStore(directory: directory.storePath)
            try StoreMeta.open(store, for: network)
            try store.commit(kept)
        }
    }

    /// What is kept; nothing where the store cannot be read that far.
    private static func own(
        of directory: DataDirectory, _ network: NetworkConfiguration
    ) throws(StoreError) -> WriteBatch {
        var batch = WriteBatch()
        do throws(StoreError) {
            var options = LMDBStore.Options()
            options.isReadOnly = true
            let snapshot = try LMDBStore(directory: directory.storePath, options: options).snapshot()
            _ = try StoreMeta.check(snapshot, for: network)
            try snapshot.forEach(.local, from: [], upTo: nil) { (key, value) throws(StoreError) in
                let name = String(decoding: key, as: UTF8.self)
                if !forgotten.contains(name) { batch.put(.local, Array(key), Array(value)) }
                return true
            }
        } catch {
            if case .wrongNetwork = error { throw error }
        }
        return batch
    }
}
