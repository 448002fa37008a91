import Foundation

/// Where network configuration files are kept by name: `--network NAME` is the file NAME.json in one of these folders.
public enum NetworkFolder {
    /// The folders, those of the user first: `carousel/networks` in `XDG_CONFIG_HOME` or `~/.config`, then in `/etc`,
    /// then in what the program was installed with.
    public static func folders(
        _ environment: [String: String] = ProcessInfo.processInfo.environment,
        program: String = CommandLine.arguments.first ?? ""
    ) -> [String] {
        let home = environment["HOME"] ?? "."
        let config = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? home + "/.config"
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? program
        let prefix = URL(fileURLWithPath: executable).deletingLastPathComponent().deletingLastPathComponent().path
        return [config + "/carousel/networks", "/etc/carousel/networks", prefix + "/share/carousel/networks"]
    }

    /// The file that is meant: a path as it is, and of a name the first file that there is.
    public static func file(of text: String, in folders: [String] = folders()) throws(ShellError) -> String {
        let isName = !text.contains("/") && !text.hasSuffix(".json")
        guard isName, !FileManager.default.fileExists(atPath: text) else { return text }
        for folder in folders where FileManager.default.fileExists(atPath: "\(folder)/\(text).json") {
            return "\(folder)/\(text).json"
        }
        throw .noSuchNetwork(text, known: names(in: folders), folders: folders)
    }

    /// The names there are, in order.
    static func names(in folders: [String]) -> [String] {
        let files = folders.flatMap { (try? FileManager.default.contentsOfDirectory(atPath: $0)) ?? [] }
        return Set(files.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }).sorted()
    }
}
