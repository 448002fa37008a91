import Foundation

/// Files that a devnet takes over into its folder.
public enum DevnetFiles {
    /// Copies a file; false where it is not there and need not be.
    @discardableResult
    public static func copy(_ source: String, to target: String, isOptional: Bool = false) throws(ShellError) -> Bool {
        if isOptional, !FileManager.default.fileExists(atPath: source) { return false }
        do {
            try FileManager.default.copyItem(atPath: source, toPath: target)
        } catch {
            throw .file(path: source, reason: "cannot be copied to \(target): \(error.localizedDescription)")
        }
        return true
    }
}
