import ArgumentParser
import Conformance
import Foundation

extension Carousel {
    /// `carousel developer record-vectors`: called by `tools/record-vectors`.
    struct RecordVectorsCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "record-vectors", abstract: "Records the vector files of the project's own wire.")

        @Argument(help: "The folder they are written to.") var directory: String

        func run() throws {
            for (name, text) in try VectorRecorder.files() {
                let url = URL(fileURLWithPath: directory).appendingPathComponent(name)
                try Data(text.utf8).write(to: url, options: .atomic)
                print("\(url.path): \(text.utf8.count) bytes")
            }
        }
    }
}
