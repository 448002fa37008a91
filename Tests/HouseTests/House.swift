import Foundation

/// The package as it lies on the disk: its root, its source files, and what `Package.swift` says of its targets.
struct House: Sendable {
    /// One target of `Package.swift`: its floor and what it may import.
    struct Target: Sendable {
        var name: String
        /// nil for tests and their support.
        var floor: Int?
        var dependencies: [String]
    }

    let root: URL
    let targets: [Target]
    let sources: [SourceText]
    let tests: [SourceText]
    /// The types of each Swift file, by its path.
    let declarations: [String: Declarations]
    /// The documents at the root and in `Specs`.
    let documents: [SourceText]

    /// The house, read once for all tests.
    static func shared() throws -> House { try loaded.get() }

    private static let loaded = Result { try load() }

    /// Found from where this file lies, so that it runs from any checkout.
    static func load(file: String = #filePath) throws -> House {
        let root = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
        let (sources, tests) = (try files(root, "Sources"), try files(root, "Tests"))
        let swift = (sources + tests).filter(\.isSwift)
        return House(
            root: root, targets: parse(manifest), sources: sources, tests: tests,
            declarations: Dictionary(uniqueKeysWithValues: swift.map { ($0.path, Declarations($0.code)) }),
            documents: try documents(root))
    }

    /// The target called `name`.
    func target(_ name: String) -> Target? { targets.first { $0.name == name } }

    /// Floors 1 to 7 and the simulation: no world outside.
    var pureTargets: [Target] { targets.filter { (1...7).contains($0.floor ?? 0) || $0.name == "Simulation" } }

    private static func documents(_ root: URL) throws -> [SourceText] {
        let top = try FileManager.default.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "md" }.sorted { $0.path < $1.path }
        return try top.map { try SourceText($0, root: root) } + files(root, "Specs", extensions: ["md"])
    }

    /// Text below `folder` whose name ends in one of `extensions`.
    static func files(_ root: URL, _ folder: String, extensions: Set<String> = ["swift", "c", "h"]) throws
        -> [SourceText]
    {
        let start = root.appendingPathComponent(folder)
        guard let walker = FileManager.default.enumerator(at: start, includingPropertiesForKeys: nil) else { return [] }
        let urls = walker.compactMap { $0 as? URL }.filter {
            extensions.contains($0.pathExtension) && !$0.hasDirectoryPath
        }
        return try urls.sorted { $0.path < $1.path }.map { try SourceText($0, root: root) }
    }

    /// Reads the manifest's own form: `// Floor n` opens a floor; `floor("X", [...])`, `.target(name: "X"…)`,
    /// `.systemLibrary(name: "X"…)`, `.executableTarget(name: "X"…)` and `tests("X", [...])` declare targets.
    static func parse(_ manifest: String) -> [Target] {
        var found: [Target] = []
        var floor: Int?
        var isTest = false
        let list = manifest.components(separatedBy: "targets: [\n").last ?? ""
        for line in list.components(separatedBy: "\n") {
            let words = line.trimmingCharacters(in: .whitespaces)
            if words.hasPrefix("// Floor "), let number = Int(words.dropFirst(9).prefix { $0.isNumber }) {
                floor = number
            } else if words.hasPrefix("// Tests") {
                floor = nil
            } else if words.hasPrefix("//") {
                continue
            }
            let declares = ["floor(", ".target(", ".systemLibrary(", ".executableTarget(", "tests("].contains {
                words.hasPrefix($0)
            }
            if declares {
                found.append(Target(name: "", floor: floor, dependencies: []))
                isTest = words.hasPrefix("tests(")
            }
            guard !found.isEmpty else { continue }
            var names = quoted(words)
            if found[found.count - 1].name.isEmpty, !names.isEmpty {
                found[found.count - 1].name = names.removeFirst() + (isTest ? "Tests" : "")
                if isTest { found[found.count - 1].dependencies = ["Primitives", "TestSupport"] }
            }
            if !words.contains("pkgConfig") && !words.contains("path:") { found[found.count - 1].dependencies += names }
        }
        return found
    }

    private static func quoted(_ line: String) -> [String] {
        line.components(separatedBy: "\"").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    }
}

/// A breach of a rule: where, and what.
struct Breach: CustomStringConvertible {
    let path: String
    let line: Int
    let what: String

    var description: String { "\(path):\(line): \(what)" }
}
