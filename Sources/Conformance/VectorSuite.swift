/// One kind of vector file.
public protocol VectorSuite: Sendable {
    /// The name of the files of this kind, for example `rlp.json`.
    static var fileName: String { get }

    /// Runs every case of every list in the file. Throws only where the file has not the shape of its kind.
    static func run(_ file: JSONValue) throws -> [CaseOutcome]
}

/// What became of one case.
public struct CaseOutcome: Equatable, Sendable {
    /// How a case ended.
    public enum Result: Equatable, Sendable {
        case passed
        /// Why not, in a few words.
        case failed(String)
        /// Implementations differ here: both verdicts are right.
        case policy
        /// Why it was not run.
        case skipped(String)
    }

    /// The case's name in its file; unique enough to find it.
    public let name: String
    public let result: Result

    public init(name: String, result: Result) {
        self.name = name
        self.result = result
    }

    /// Runs one case. `body` decodes or verifies: it throws what refuses the input, and after accepting it returns nil,
    /// or what differs from the fields given. `valid` nil stands for JSON null. A `VectorError` (the case itself cannot
    /// be read) fails whatever `valid` says.
    public static func judge(_ name: String, valid: Bool?, _ body: () throws -> String?) -> CaseOutcome {
        let difference: String?
        do {
            difference = try body()
        } catch let error as VectorError {
            return CaseOutcome(name: name, result: .failed(error.description))
        } catch {
            switch valid {
            case true: return CaseOutcome(name: name, result: .failed("refused: \(VectorError.text(error))"))
            case false: return CaseOutcome(name: name, result: .passed)
            default: return CaseOutcome(name: name, result: .policy)
            }
        }
        switch valid {
        case true: return CaseOutcome(name: name, result: difference.map { .failed($0) } ?? .passed)
        case false: return CaseOutcome(name: name, result: .failed("accepted, but it is invalid"))
        default: return CaseOutcome(name: name, result: .policy)
        }
    }

    /// The same, with `valid` read from the case: true where the field is absent.
    public static func judge(_ name: String, _ vector: JSONValue, _ body: () throws -> String?) -> CaseOutcome {
        let field = vector["valid"]
        switch field {
        case .bool(let valid): return judge(name, valid: valid, body)
        case .null: return judge(name, valid: vector.has("valid") ? nil : true, body)
        default:
            return CaseOutcome(name: name, result: .failed("valid is \(field.kind), not true, false or null"))
        }
    }

    /// nil where both are equal, otherwise a sentence for `judge`.
    public static func difference<Value: Equatable>(_ what: String, _ found: Value, _ expected: Value) -> String? {
        found == expected ? nil : "\(what) is \(found), expected \(expected)"
    }

    /// The same for bytes, shown as hex.
    public static func difference(_ what: String, bytes found: [UInt8], _ expected: [UInt8]) -> String? {
        found == expected ? nil : "\(what) is \(Self.shown(found)), expected \(Self.shown(expected))"
    }

    private static func shown(_ bytes: [UInt8]) -> String {
        let text = JSONValue.prefixedHex(bytes)
        return text.count <= 80 ? text : "\(text.prefix(76))… (\(bytes.count) bytes)"
    }
}
