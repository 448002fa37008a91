import Foundation

/// A folder for one test, removed with the value.
final class TemporaryFolder {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("carousel-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
