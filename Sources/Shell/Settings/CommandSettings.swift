import Foundation

/// Where the options of a command come from: the command line; where that is silent the environment; then a file of
/// settings; else what the program takes by itself. All by one name: `--udp-port 9010` is `CAROUSEL_UDP_PORT=9010` and
/// `{"udp-port": 9010}`.
///
/// What the environment and the file say is put before what the command line says, in the command line's own form. So
/// there is one reader of options, and one place where a value is judged.
public struct CommandSettings: Sendable {
    /// An option of a command, as its help has it.
    public struct Option: Sendable, Equatable {
        /// How it is given.
        public enum Kind: Sendable {
            /// It has a value.
            case value
            /// It has one each time that it is given.
            case list
            /// It is given or not.
            case flag
        }

        /// Its name without the dashes.
        public let name: String
        public let kind: Kind

        public init(name: String, kind: Kind) {
            self.name = name
            self.kind = kind
        }

        /// Its name in the environment.
        var variable: String { "CAROUSEL_" + name.uppercased().replacingOccurrences(of: "-", with: "_") }
    }

    /// Who has given an option.
    public enum Source: Equatable, Sendable, CustomStringConvertible {
        case commandLine
        case environment(variable: String)
        case file(String)

        public var description: String {
            switch self {
            case .commandLine: "the command line"
            case .environment(let variable): variable
            case .file(let path): path
            }
        }
    }

    /// An option that was given.
    public struct Given: Equatable, Sendable {
        public let name: String
        /// Of a flag none.
        public let values: [String]
        public let source: Source
    }

    /// What was given, in the order of the command's options.
    public let given: [Given]

    /// - Parameters:
    ///   - options: those of the command.
    ///   - all: the names that options of any command have. A file may be for several commands: what belongs to another
    ///     is passed over, a name of none is an error.
    ///   - arguments: what follows the command on the command line.
    ///   - file: the path and the content of the file of settings, if there is one.
    public init(
        options: [Option], all: Set<String>, arguments: [String], environment: [String: String],
        file: (path: String, content: Data)?
    ) throws(SettingsError) {
        let settings = try file.map { file throws(SettingsError) in
            try SettingsFile(file.content, path: file.path, allowing: all)
        }
        var given: [Given] = []
        for option in options {
            if let values = CommandSettings.values(of: option, among: arguments) {
                given.append(Given(name: option.name, values: values, source: .commandLine))
            } else if let values = try CommandSettings.values(of: option, in: environment) {
                let source = Source.environment(variable: option.variable)
                given.append(Given(name: option.name, values: values, source: source))
            } else if let settings, let values = try settings.values(of: option) {
                given.append(Given(name: option.name, values: values, source: .file(settings.path)))
            }
        }
        self.given = given
    }

    /// What goes between the command and its own arguments.
    public var arguments: [String] {
        given.filter { $0.source != .commandLine }.flatMap { option in
            option.values.isEmpty ? ["--\(option.name)"] : option.values.flatMap { ["--\(option.name)", $0] }
        }
    }

    /// One line for each option that was given, and by whom.
    public var lines: [String] {
        given.map { option in
            let value = option.values.isEmpty ? "yes" : option.values.joined(separator: ", ")
            return "\(option.name): \(value) (\(option.source))"
        }
    }

    /// Who has given an option; nil where nobody has.
    public func source(of name: String) -> Source? { given.first { $0.name == name }?.source }

    /// What follows an option on the command line; nil where it is not there. How it must be written is for the parser
    /// to say.
    public static func values(of option: Option, among arguments: [String]) -> [String]? {
        let own = arguments.prefix { $0 != "--" }
        let name = "--\(option.name)"
        var values: [String]?
        for (place, argument) in zip(own.indices, own) {
            if argument == name {
                let next = option.kind == .flag ? [] : own[(place + 1)...].prefix(1)
                values = (values ?? []) + next
            } else if argument.hasPrefix(name + "=") {
                values = (values ?? []) + [String(argument.dropFirst(name.count + 1))]
            }
        }
        return values
    }

    private static func values(
        of option: Option, in environment: [String: String]
    ) throws(SettingsError) -> [String]? {
        // An empty variable is one that is not set.
        guard let text = environment[option.variable], !text.isEmpty else { return nil }
        switch option.kind {
        case .value: return [text]
        case .list: return text.split(separator: ",").map(String.init)
        case .flag:
            switch text {
            case "1", "true": return []
            case "0", "false": return nil
            default: throw .notYesOrNo(where: option.variable, found: text)
            }
        }
    }
}

/// What is wrong with the settings of a command.
public enum SettingsError: Error, Equatable, Sendable {
    /// The file cannot be read.
    case cannotRead(file: String, reason: String)
    case notJSON(file: String)
    /// A name stands there more than once.
    case twice(file: String, name: String)
    /// No command has such an option; the nearest that there is.
    case unknown(file: String, name: String, nearest: String?)
    /// A value that no option can have: an object, or a list where there is one value.
    case wrongType(file: String, name: String, expected: String)
    /// A flag that is neither on nor off.
    case notYesOrNo(where: String, found: String)
}

extension SettingsError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cannotRead(let file, let reason): "\(file): \(reason): give the file of settings with --config"
        case .notJSON(let file): "\(file): is no JSON object: write the names of options and their values"
        case .twice(let file, let name): "\(file): \(name) stands there twice: remove one"
        case .unknown(let file, let name, let nearest):
            "\(file): \(name) is no option of any command: "
                + (nearest.map { "is \($0) meant?" } ?? "'carousel help run' lists them")
        case .wrongType(let file, let name, let expected): "\(file): \(name) must be \(expected)"
        case .notYesOrNo(let place, let found): "\(place): '\(found)' is neither 1 nor 0: say which"
        }
    }
}
