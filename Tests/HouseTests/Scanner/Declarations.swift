/// What one file says of one type: a declaration, or an extension.
struct TypePart: Equatable {
    enum Kind: String { case `struct`, `class`, `enum`, actor, `protocol`, `extension`, `typealias` }

    var kind: Kind
    /// With the types around it: `Overlay.RequestID`.
    var name: String
    var isPublic: Bool
    /// Seen in its own file only.
    var isPrivate = false
    /// The line of its name, from 1.
    var line: Int
    /// Stored properties of an instance. Those of the type (`static`) and computed ones are none.
    var fields = 0
    /// Functions and subscripts, those of the type too. Initialisers and computed properties are none.
    var methods = 0
}

/// Finds the types of a file, with the number of their stored fields and methods, in blanked code.
///
/// It is no parser: it knows brackets, the words that declare something, and that a declaration ends where a line
/// begins with the next one. That is enough for code that compiles, and `isBalanced` says where it lost its way.
struct Declarations {
    /// In the order in which they end.
    private(set) var parts: [TypePart] = []
    /// Whether every bracket was closed by its own kind, which any file that compiles has.
    private(set) var isBalanced = true
    private let tokens: [Token]
    private var at = 0

    private struct Token {
        var text: Substring
        var line: Int
        /// Whether it is the first of its line.
        var isFirst: Bool
    }

    init(_ code: [String]) {
        tokens = Self.tokens(of: code)
        _ = body(of: "", kind: nil)
        if at < tokens.count { isBalanced = false }
    }

    private static func tokens(of code: [String]) -> [Token] {
        var found: [Token] = []
        for (index, line) in code.enumerated() {
            // A directive such as `#if`: both branches are read, as if they were one code.
            let words = line.drop { $0 == " " }
            if ["#if", "#else", "#endif"].contains(where: words.hasPrefix) { continue }
            var rest = words
            var isFirst = true
            while let first = rest.first {
                var text = rest.prefix(1)
                if Self.isWord(first) { text = rest.prefix(while: Self.isWord) }
                if rest.hasPrefix("->") { text = rest.prefix(2) }
                found.append(Token(text: text, line: index + 1, isFirst: isFirst))
                isFirst = false
                rest = rest.dropFirst(text.count).drop { $0 == " " }
            }
        }
        return found
    }

    private static func isWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "_`@#".contains(character)
    }

    private var word: Substring { at < tokens.count ? tokens[at].text : "" }

    private static let closing: [Substring: Substring] = ["{": "}", "(": ")", "[": "]"]

    /// Steps over one token, or over a bracket and all within.
    private mutating func skip() {
        if Self.closing[word] != nil { skipBracket() } else { at += 1 }
    }

    private mutating func skipBracket() {
        guard let end = Self.closing[word] else { return }
        at += 1
        while at < tokens.count && word != end {
            if ["}", ")", "]"].contains(word) { isBalanced = false }
            skip()
        }
        if at == tokens.count { isBalanced = false }
        at += 1
    }

    private static let types: [Substring: TypePart.Kind] = [
        "struct": .struct, "class": .class, "enum": .enum, "actor": .actor, "protocol": .protocol,
        "extension": .extension, "typealias": .typealias,
    ]
    private static let modifiers: Set<Substring> = [
        "public", "open", "package", "internal", "private", "fileprivate", "final", "static", "lazy", "weak", "unowned",
        "mutating", "nonmutating", "override", "indirect", "nonisolated", "required", "convenience", "consuming",
        "borrowing", "prefix", "postfix", "infix", "dynamic", "optional", "isolated", "distributed", "async",
    ]
    private static let starts: Set<Substring> = modifiers.union(types.keys).union([
        "func", "init", "deinit", "subscript", "let", "var", "case", "import", "operator", "associatedtype", "}",
    ])

    /// Reads declarations up to the bracket that closes this body, or to the end of the file.
    private mutating func body(of name: String, kind: TypePart.Kind?) -> (fields: Int, methods: Int) {
        var fields = 0
        var methods = 0
        var modifiers: Set<Substring> = []
        while at < tokens.count && word != "}" {
            let here = word
            if here.hasPrefix("@") || Self.modifiers.contains(here) {
                modifiers.insert(here)
                at += 1
                // The arguments of an attribute, or `private(set)`.
                if word == "(" && !tokens[at].isFirst { skipBracket() }
                continue
            }
            if here == "class" && at + 1 < tokens.count && ["func", "var"].contains(tokens[at + 1].text) {
                modifiers.insert("static")
                at += 1
                continue
            }
            defer { modifiers = [] }
            if let kind = Self.types[here] {
                type(kind, within: name, modifiers)
            } else if here == "func" || here == "subscript" {
                methods += 1
                at += here == "func" ? 2 : 1
            } else if here == "let" || here == "var" {
                let count = bindings()
                if kind != nil && kind != .protocol && !modifiers.contains("static") { fields += count }
            } else if here == "case" {
                // A case may have a name that declares something elsewhere: `actor`.
                at += 1
                while at < tokens.count && !beginsDeclaration { skip() }
            } else {
                skip()
            }
        }
        return (fields, methods)
    }

    /// Whether the declaration before this token has ended.
    private var beginsDeclaration: Bool {
        word == "}" || tokens[at].isFirst && (Self.starts.contains(word) || word.hasPrefix("@"))
    }

    private mutating func type(_ kind: TypePart.Kind, within outer: String, _ modifiers: Set<Substring>) {
        at += 1
        guard at < tokens.count else { return }
        let isPublic = !modifiers.isDisjoint(with: ["public", "open"])
        var part = TypePart(kind: kind, name: String(word), isPublic: isPublic, line: tokens[at].line)
        part.isPrivate = !modifiers.isDisjoint(with: ["private", "fileprivate"])
        at += 1
        while word == "." && at + 1 < tokens.count {
            part.name += "." + tokens[at + 1].text
            at += 2
        }
        if !outer.isEmpty { part.name = outer + "." + part.name }
        if kind == .typealias {
            parts.append(part)
            return
        }
        while at < tokens.count && word != "{" { skip() }
        at += 1
        (part.fields, part.methods) = body(of: part.name, kind: kind)
        if at == tokens.count { isBalanced = false }
        at += 1
        parts.append(part)
    }

    /// The number of stored properties that a `let` or `var` declares: 0 for a computed one, more than 1 for
    /// `var a, b: Int`.
    private mutating func bindings() -> Int {
        at += 1
        var count = 1
        var hasValue = false
        var angles = 0
        while at < tokens.count {
            if beginsDeclaration { break }
            if word == "{" {
                let observers: Set<Substring> = ["willSet", "didSet"]
                let isObserved = at + 1 < tokens.count && observers.contains(tokens[at + 1].text)
                skipBracket()
                if !hasValue && !isObserved { return 0 }
                continue
            }
            if word == "," && angles == 0 {
                count += 1
                hasValue = false
            }
            if word == "=" { hasValue = true }
            // In a type the two are brackets; in a value they may be comparisons.
            if !hasValue && word == "<" { angles += 1 }
            if !hasValue && word == ">" { angles -= 1 }
            skip()
        }
        return count
    }
}
