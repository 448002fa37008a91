import Foundation

/// A source file, as written and with its comments and string contents blanked, so that words are only found in code.
struct SourceText: Sendable {
    let url: URL
    /// The path below the package's root.
    let path: String
    let lines: [String]
    /// The same lines; every character of a comment or of a string's content is a space.
    let code: [String]

    init(_ url: URL, root: URL) throws {
        self.url = url
        path = String(url.path.dropFirst(root.path.count + 1))
        let text = try String(contentsOf: url, encoding: .utf8)
        lines = text.components(separatedBy: "\n")
        var blanker = Blanker(Array(text))
        code = blanker.blanked().components(separatedBy: "\n")
    }

    /// Its comments and the contents of its strings, in the same places; all code is spaces.
    var prose: [String] { Self.prose(lines, code: code) }

    /// What of `lines` is blank in `code`.
    static func prose(_ lines: [String], code: [String]) -> [String] {
        zip(lines, code).map { line, code in
            // Most lines are code from end to end.
            line == code ? "" : String(zip(line, code).map { $0 == $1 ? " " : $0 })
        }
    }

    /// The folder below `Sources` or `Tests`.
    var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    /// Whether it is a Swift file.
    var isSwift: Bool { url.pathExtension == "swift" }
}

/// Blanks comments (nested ones too) and strings (raw, multi-line, with interpolations whose code is kept).
struct Blanker {
    private let text: [Character]
    private var out: [Character] = []
    private var at = 0

    init(_ text: [Character]) { self.text = text }

    mutating func blanked() -> String {
        code(until: nil)
        return String(out)
    }

    private func sees(_ word: String) -> Bool {
        var index = at
        for character in word {
            guard index < text.count, text[index] == character else { return false }
            index += 1
        }
        return true
    }

    private mutating func keep(_ count: Int = 1) {
        for _ in 0..<count where at < text.count {
            out.append(text[at])
            at += 1
        }
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where at < text.count {
            out.append(text[at] == "\n" ? "\n" : " ")
            at += 1
        }
    }

    /// Code up to the closing parenthesis of an interpolation, or to the end.
    private mutating func code(until close: Character?) {
        var depth = 0
        while at < text.count {
            if sees("//") {
                while at < text.count && text[at] != "\n" { blank() }
            } else if sees("/*") {
                comment()
            } else if text[at] == "\"" || (text[at] == "#" && isRawString()) {
                string()
            } else if let end = endOfPattern() {
                blank(end - at)
            } else {
                if text[at] == "(" { depth += 1 }
                if text[at] == ")" {
                    if depth == 0 && close != nil { return }
                    depth -= 1
                }
                keep()
            }
        }
    }

    /// Where a regular expression that begins here ends, behind its second slash; nil where this is no such thing. A
    /// division has a space behind its slash, or no `=`, `(`, `,` or `:` before it.
    private func endOfPattern() -> Int? {
        guard text[at] == "/", at + 1 < text.count, !text[at + 1].isWhitespace,
            let before = out.last(where: { !$0.isWhitespace }), "=(,:".contains(before)
        else { return nil }
        var index = at + 1
        while index < text.count && text[index] != "\n" {
            if text[index] == "/" { return index + 1 }
            index += text[index] == "\\" ? 2 : 1
        }
        return nil
    }

    private func isRawString() -> Bool {
        var index = at
        while index < text.count && text[index] == "#" { index += 1 }
        return index < text.count && text[index] == "\""
    }

    private mutating func comment() {
        var depth = 0
        repeat {
            if sees("/*") {
                depth += 1
                blank(2)
            } else if sees("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && at < text.count
    }

    private mutating func string() {
        var hashes = ""
        while text[at] == "#" {
            hashes.append("#")
            keep()
        }
        let quote = sees("\"\"\"") ? "\"\"\"" : "\""
        keep(quote.count)
        while at < text.count && !sees(quote + hashes) {
            if sees("\\" + hashes + "(") {
                blank(hashes.count + 1)
                keep()
                code(until: ")")
                keep()
            } else if sees("\\" + hashes) {
                blank(hashes.count + 2)
            } else {
                blank()
            }
        }
        keep(quote.count + hashes.count)
    }
}
