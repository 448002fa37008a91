import Foundation
import Testing

/// The house's style, held by a test: sizes, documentation, words that end a process.
@Suite struct StyleTests {
    private let house: House

    init() throws { house = try House.shared() }

    private static let fileLines = 500
    private static let columns = 120
    private static let functionLines = 70

    @Test func filesAndLinesAreShort() {
        var breaches: [Breach] = []
        for file in house.sources + house.tests {
            let count = file.lines.last == "" ? file.lines.count - 1 : file.lines.count
            if count > Self.fileLines { breaches.append(Breach(path: file.path, line: count, what: "\(count) lines")) }
            for (index, line) in file.lines.enumerated() where line.count > Self.columns {
                breaches.append(Breach(path: file.path, line: index + 1, what: "\(line.count) columns"))
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    @Test func functionsAreShort() {
        var breaches: [Breach] = []
        for file in house.sources + house.tests where file.isSwift {
            for body in Functions(file.code).bodies where body.count > Self.functionLines {
                breaches.append(
                    Breach(path: file.path, line: body.lowerBound + 1, what: "a function of \(body.count) lines"))
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    @Test func nothingEndsTheProcessOrHidesAnError() throws {
        let banned: [(word: Regex<Substring>, what: String)] = [
            (try Regex(#"\btry!"#), "try!"), (try Regex(#"\bas!"#), "as!"),
            (try Regex(#"\bfatalError\b"#), "fatalError"),
            (try Regex(#"\bpreconditionFailure\b"#), "preconditionFailure"),
            (try Regex(#"\bcatch\s*\{\s*\}"#), "an error caught in silence"),
            (try Regex(#"[\w\)\]]!(?!=)"#), "a value forced out of an optional"),
        ]
        var breaches: [Breach] = []
        for file in house.sources where file.isSwift {
            for (index, line) in file.code.enumerated() {
                for (word, what) in banned where line.contains(word) {
                    breaches.append(Breach(path: file.path, line: index + 1, what: what))
                }
            }
        }
        for file in house.sources + house.tests where file.target != "HouseTests" {
            for (index, line) in file.lines.enumerated() where line.contains("TODO") || line.contains("FIXME") {
                breaches.append(Breach(path: file.path, line: index + 1, what: "something left to do"))
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    @Test func publicDeclarationsAreDocumented() {
        let protocols = Requirements(house.sources.filter(\.isSwift).map(\.code))
        #expect(protocols.names.count > 10)
        var breaches: [Breach] = []
        for file in house.sources where file.isSwift && file.target != "carousel" {
            let required = protocols.names(metIn: file.code)
            for (index, line) in file.code.enumerated() {
                let words = line.trimmingCharacters(in: .whitespaces)
                guard Self.declaresSomethingPublic(words), !Self.speaksForItself(words) else { continue }
                // The protocol's docstring tells of it.
                if let name = Requirements.name(declaredIn: words), required.contains(name) { continue }
                if !Self.isDocumented(file.lines, at: index) {
                    breaches.append(Breach(path: file.path, line: index + 1, what: "no docstring: \(words)"))
                }
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    private static func declaresSomethingPublic(_ words: String) -> Bool {
        let rest = words.split(separator: " ").drop { $0.hasPrefix("@") }
        return rest.first == "public" && rest.dropFirst().first != "import" && rest.dropFirst().first != "extension"
    }

    /// Operators and the members of the standard library's protocols: their meaning is the protocol's. A stored
    /// property and an initialiser that takes all it is given: their type's docstring tells of them, and "The header."
    /// above `header` would tell nothing. Units and limits are in the name or in a docstring.
    private static func speaksForItself(_ words: String) -> Bool {
        let isStored = words.contains("let ") || words.contains("var ") && !words.contains("{")
        if isStored && !words.contains("static ") { return true }
        if words.contains("init(") && !words.contains("throws") { return true }
        let members = [
            "var description:", "func hash(into", "func encode(to", "init(from ", "mutating func next()",
            "var startIndex", "var endIndex", "var count:", "var isEmpty:", "func index(after", "func makeIterator()",
            "init(stringLiteral", "init(integerLiteral", "init(arrayLiteral",
        ]
        if members.contains(where: words.contains) { return true }
        guard let name = words.range(of: "func ").map({ words[$0.upperBound...] }) else { return false }
        return name.first.map { !$0.isLetter && $0 != "_" && $0 != "`" } ?? false
    }

    /// A docstring stands above, with attributes between; or above the first of a block of one-line declarations
    /// without an empty line between them, which it covers as a whole.
    private static func isDocumented(_ lines: [String], at index: Int) -> Bool {
        var above = index - 1
        while above >= 0 {
            let line = lines[above].trimmingCharacters(in: .whitespaces)
            if line.hasPrefix("///") || line.hasSuffix("*/") { return true }
            let opened = line.filter { "{(".contains($0) }.count
            let closed = line.filter { "})".contains($0) }.count
            let isOneLiner = declaresSomethingPublic(line) && opened == closed
            guard line.hasPrefix("@") || isOneLiner else { return false }
            above -= 1
        }
        return false
    }

    @Test func noPathOfAMachineIsNamed() throws {
        let folders = [("tools", Set(["", "sh", "py"])), ("Specs", ["md"])]
        var files = house.sources + house.tests.filter { $0.target != "HouseTests" }
        for (folder, extensions) in folders {
            files += try House.files(house.root, folder, extensions: extensions)
        }
        var breaches: [Breach] = []
        for file in files {
            for (index, line) in file.lines.enumerated() where line.contains("/home/") || line.contains("/Users/") {
                breaches.append(Breach(path: file.path, line: index + 1, what: "a path of one machine"))
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }
}

/// The bodies of functions, initialisers and subscripts in blanked code, as ranges of line indices.
struct Functions {
    private(set) var bodies: [Range<Int>] = []

    init(_ code: [String]) {
        let declaration = /(^|[^\w.`])(func\s|init[?]?[(<]|deinit\s|subscript\s*[(<])/
        for (index, line) in code.enumerated() where line.contains(declaration) {
            if let end = Self.endOfBody(code, from: index) { bodies.append(index..<end + 1) }
        }
    }

    /// The line where the body that begins at or after `start` ends; nil for a requirement without one.
    private static func endOfBody(_ code: [String], from start: Int) -> Int? {
        var braces = 0
        var brackets = 0
        for index in start..<code.count {
            for character in code[index] {
                switch character {
                case "(", "[": brackets += 1
                case ")", "]": brackets -= 1
                case "{" where brackets == 0: braces += 1
                case "}" where brackets == 0:
                    if braces <= 1 { return braces == 1 ? index : nil }
                    braces -= 1
                default: break
                }
            }
            // A line that ends the signature without a brace, followed by another declaration: a requirement.
            if braces == 0 && brackets == 0 && index > start + 6 { return nil }
        }
        return nil
    }
}
