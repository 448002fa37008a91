/// A small file of `name=value` lines that scripts read while a node runs. It is replaced in one step, so a reader
/// never sees half of it.
public struct StatusFile: Sendable {
    /// The file's path.
    public let path: String

    /// The file at `path`; nothing is touched yet.
    public init(_ path: String) { self.path = path }

    /// Replaces the file.
    func write(_ figures: [(name: String, value: String)]) throws(ShellError) {
        // It is of use while the node runs: not worth a wait for the disk every second.
        let text = figures.map { "\($0.name)=\($0.value)\n" }.joined()
        try WholeFile.write(text, to: path, .replaced, flushed: false)
    }
}
