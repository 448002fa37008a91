import Foundation

/// The folder of recorded chains and published vectors beside a checkout: `CAROUSEL_SHARED`, default `../shared`.
/// A test that needs it is enabled only where it is there.
public enum SharedFolder {
    /// The file or folder at `path` in the shared folder; nil where it does not exist.
    public static func url(_ path: String) -> URL? {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let shared =
            ProcessInfo.processInfo.environment["CAROUSEL_SHARED"].map { URL(fileURLWithPath: $0) }
            ?? root.deletingLastPathComponent().appendingPathComponent("shared")
        let url = shared.appendingPathComponent(path)
        return FileManager.default.fileExists(atPath: url.path) ? url : nil
    }
}
