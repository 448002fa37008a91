import Primitives

/// Reads the text form of SSZ types that the vector files use:
///
///     type := uint8|16|32|64|128|256 | boolean | Bytes32 | ByteVector[n] | ByteList[n] | Bitvector[n] | Bitlist[n]
///           | Vector[type,n] | List[type,n] | Container(name:type,…) | Union[None or type, type…]
struct SSZSchemaParser {
    /// Types nest no deeper than this, so that a file cannot exhaust the stack.
    private static let depthLimit = 64
    /// Largest length or limit: SSZ's own schemas go up to 2^40.
    private static let lengthLimit = 1 << 40
    /// Largest fixed size in bytes of a type (vectors of vectors multiply).
    private static let fixedSizeLimit = 1 << 30

    private let text: [Character]
    private var position = 0

    private init(_ text: String) { self.text = Array(text) }

    /// Reads exactly one type.
    static func parse(_ text: String) throws(VectorError) -> SSZType {
        var parser = SSZSchemaParser(text)
        let type = try parser.type(depth: 0)
        guard parser.position == parser.text.count else { throw parser.error("the end") }
        if let size = type.fixedSize, size > fixedSizeLimit { throw .malformed("SSZ type \(text) is too large") }
        return type
    }

    private func error(_ expected: String) -> VectorError {
        .malformed("SSZ type \(String(text)): expected \(expected) at character \(position)")
    }

    private mutating func type(depth: Int) throws(VectorError) -> SSZType {
        guard depth < Self.depthLimit else { throw error("less nesting") }
        let word = word()
        switch word {
        case "uint8", "uint16", "uint32", "uint64", "uint128", "uint256":
            guard let bits = Int(word.dropFirst(4)) else { throw error("a width") }
            return .uint(bytes: bits / 8)
        case "boolean": return .boolean
        case "Bytes32": return .bytes32
        case "ByteVector": return .byteVector(try bracketedLength(atLeast: 1))
        case "ByteList": return .byteList(try bracketedLength(atLeast: 0))
        case "Bitvector": return .bitvector(try bracketedLength(atLeast: 1))
        case "Bitlist": return .bitlist(try bracketedLength(atLeast: 0))
        case "Vector", "List":
            try expect("[")
            let element = try type(depth: depth + 1)
            try expect(",")
            let count = try length(atLeast: word == "Vector" ? 1 : 0)
            try expect("]")
            return word == "Vector" ? .vector(element, count) : .list(element, limit: count)
        case "Container": return .container(try fields(depth: depth))
        case "Union": return .union(try options(depth: depth))
        default: throw error("a type")
        }
    }

    private mutating func fields(depth: Int) throws(VectorError) -> [SSZField] {
        var fields: [SSZField] = []
        try expect("(")
        repeat {
            let name = word()
            guard !name.isEmpty else { throw error("a field name") }
            try expect(":")
            fields.append(SSZField(name, try type(depth: depth + 1)))
        } while accept(",")
        try expect(")")
        return fields
    }

    private mutating func options(depth: Int) throws(VectorError) -> [SSZType?] {
        var options: [SSZType?] = []
        try expect("[")
        repeat {
            let start = position
            if options.isEmpty, word() == "None" {
                options.append(nil)
            } else {
                position = start
                options.append(try type(depth: depth + 1))
            }
        } while accept(",")
        try expect("]")
        // A selector is at most 127; None alone is no union.
        guard options.count <= 128, options != [nil] else { throw error("1 to 128 options, one of them a type") }
        return options
    }

    private mutating func word() -> String {
        skipSpaces()
        let start = position
        while position < text.count, text[position].isLetter || text[position].isNumber || text[position] == "_" {
            position += 1
        }
        return String(text[start..<position])
    }

    private mutating func bracketedLength(atLeast least: Int) throws(VectorError) -> Int {
        try expect("[")
        let count = try length(atLeast: least)
        try expect("]")
        return count
    }

    private mutating func length(atLeast least: Int) throws(VectorError) -> Int {
        guard let count = Int(word()), count >= least, count <= Self.lengthLimit else { throw error("a length") }
        return count
    }

    private mutating func accept(_ character: Character) -> Bool {
        skipSpaces()
        guard position < text.count, text[position] == character else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Character) throws(VectorError) {
        guard accept(character) else { throw error("\"\(character)\"") }
    }

    private mutating func skipSpaces() {
        while position < text.count, text[position] == " " { position += 1 }
    }
}
