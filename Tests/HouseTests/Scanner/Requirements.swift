/// What public protocols of the sources ask for: a type that conforms to one need not say again what its members do.
struct Requirements {
    /// Names of the members by protocol.
    private(set) var names: [String: Set<String>] = [:]

    /// Reads blanked code, a file each.
    init(_ files: [[String]]) {
        for code in files {
            var current: String?
            for line in code {
                if line.hasPrefix("public protocol ") { current = line.dropFirst(16).prefix(while: isWord).description }
                if line.hasPrefix("}") { current = nil }
                guard let current, let name = Self.name(declaredIn: line) else { continue }
                names[current, default: []].insert(name)
            }
        }
    }

    /// The members that types in this file have because of a protocol that they name in their heads.
    func names(metIn code: [String]) -> Set<String> {
        var found: Set<String> = []
        for line in code {
            let words = line.split(whereSeparator: { !isWord($0) })
            guard line.contains(":"), words.contains(where: { Self.types.contains($0) }) else { continue }
            // What stands behind the name: other types may be among it, but none that the rule would be about.
            for word in words { found.formUnion(names[String(word)] ?? []) }
        }
        return found
    }

    /// The name of the function or property that a line declares.
    static func name(declaredIn line: String) -> String? {
        let words = line.split(separator: " ", omittingEmptySubsequences: true)
        guard let keyword = words.firstIndex(where: { $0 == "func" || $0 == "var" }), keyword + 1 < words.count else {
            return nil
        }
        return String(words[keyword + 1].prefix(while: isWord))
    }

    private static let types: Set<Substring> = ["struct", "class", "enum", "actor", "extension"]
}

private func isWord(_ character: Character) -> Bool { character.isLetter || character.isNumber || character == "_" }
