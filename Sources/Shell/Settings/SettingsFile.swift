import Foundation

/// A file of settings: a JSON object whose names are those of options, without the dashes.
///
///     {"network": "/etc/carousel/net.json", "udp-port": 9010, "bootnodes": ["enr:-…", "enr:-…"], "rebuild": false}
///
/// A number may stand without quotes, a flag is true or false, and a list stands for several values, or for one whose
/// items have commas between them. Nothing is guessed: a name that no option has is an error, and so is one that stands
/// there twice.
struct SettingsFile {
    /// Largest file read, bytes: some hundred records of nodes.
    static let limit = 1 << 20

    let path: String
    private let values: [String: Value]

    private enum Value {
        case text(String)
        case list([String])
        case flag(Bool)
    }

    /// Reads the content of a file, whose names must be among `names`.
    init(_ content: Data, path: String, allowing names: Set<String>) throws(SettingsError) {
        self.path = path
        guard let object = try? JSONDecoder().decode([String: Item].self, from: content) else {
            throw .notJSON(file: path)
        }
        let twice: String?
        do { twice = try JSONCursor.repeatedName(in: content) } catch { throw .notJSON(file: path) }
        if let twice { throw .twice(file: path, name: twice) }
        var values: [String: Value] = [:]
        for (name, item) in object.sorted(by: { $0.key < $1.key }) {
            guard names.contains(name) else {
                throw .unknown(file: path, name: name, nearest: SettingsFile.nearest(to: name, among: names))
            }
            switch item {
            case .flag(let isOn): values[name] = .flag(isOn)
            case .text(let text): values[name] = .text(text)
            case .list(let items):
                values[name] = .list(
                    try items.map { item throws(SettingsError) in
                        guard case .text(let text) = item else {
                            throw .wrongType(file: path, name: name, expected: "a list of texts or numbers")
                        }
                        return text
                    })
            case .null: continue
            case .other:
                throw .wrongType(file: path, name: name, expected: "a text, a number, true, false or a list")
            }
        }
        self.values = values
    }

    /// The values of an option; nil where the file says nothing of it, or that a flag is off.
    func values(of option: CommandSettings.Option) throws(SettingsError) -> [String]? {
        switch (values[option.name], option.kind) {
        case (nil, _): return nil
        case (.flag(let isOn)?, .flag): return isOn ? [] : nil
        case (.text(let text)?, .value), (.text(let text)?, .list): return [text]
        case (.list(let items)?, .list): return items
        case (.list(let items)?, .value): return [items.joined(separator: ",")]
        case (_?, .flag): throw .wrongType(file: path, name: option.name, expected: "true or false")
        case (.flag?, _): throw .wrongType(file: path, name: option.name, expected: "a text or a number")
        }
    }

    /// The name that takes fewest changed letters to make; nil where none is near.
    private static func nearest(to name: String, among names: Set<String>) -> String? {
        let near = names.map { (distance: distance(Array(name), Array($0)), name: $0) }.min {
            ($0.distance, $0.name) < ($1.distance, $1.name)
        }
        return near.flatMap { $0.distance <= 3 ? $0.name : nil }
    }

    /// Letters that must be put in, taken out or changed to make one of the other.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for (line, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in b.indices {
                let changed = diagonal + (letter == b[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
            }
        }
        return row[b.count]
    }

    /// A value as JSON has it.
    private enum Item: Decodable {
        case text(String)
        case flag(Bool)
        case list([Item])
        case null
        /// An object.
        case other

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .null
            } else if let isOn = try? value.decode(Bool.self) {
                self = .flag(isOn)
            } else if let number = try? value.decode(UInt64.self) {
                self = .text("\(number)")
            } else if let number = try? value.decode(Double.self) {
                self = .text("\(number)")
            } else if let text = try? value.decode(String.self) {
                self = .text(text)
            } else if let items = try? value.decode([Item].self) {
                self = .list(items)
            } else {
                self = .other
            }
        }
    }
}

extension CommandSettings {
    /// Reads the file of settings that a command is given, on the command line or in the environment; nil where it is
    /// given none.
    public static func file(
        among arguments: [String], environment: [String: String]
    ) throws(SettingsError) -> (path: String, content: Data)? {
        let option = Option(name: "config", kind: .value)
        guard let path = values(of: option, among: arguments)?.last ?? environment[option.variable], !path.isEmpty
        else { return nil }
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            return (path, try handle.read(upToCount: SettingsFile.limit) ?? Data())
        } catch {
            throw .cannotRead(
                file: path, reason: FileManager.default.fileExists(atPath: path) ? "not readable" : "no such file")
        }
    }
}
