import ArgumentParser
import Foundation
import Shell

/// What a command line says with what the environment and a file of settings add to it.
struct Settings {
    /// The command line to parse.
    let arguments: [String]
    /// What was given and by whom; nil where the command takes no settings from elsewhere.
    let settings: CommandSettings?

    /// `arguments`: those of the process, without its name.
    init(_ arguments: [String], environment: [String: String]) throws(SettingsError) {
        let (command, depth) = CommandOptions.root.command(of: arguments)
        let options = command.options
        // What works on a node's directory is told of it, and of all else, as the node is.
        guard options.contains(where: { $0.name == "data-dir" || $0.name == "config" }) else {
            (self.arguments, settings) = (arguments, nil)
            return
        }
        let own = Array(arguments[depth...])
        let file = try CommandSettings.file(among: own, environment: environment)
        let settings = try CommandSettings(
            options: options, all: CommandOptions.root.names, arguments: own, environment: environment, file: file)
        self.arguments = arguments[..<depth] + settings.arguments + own
        self.settings = settings
    }

    /// Where the value of an option comes from that an error names, unless the user has just typed it.
    func origin(ofErrorIn message: String) -> String {
        let named = settings?.given.filter { $0.source != .commandLine && message.contains("--\($0.name)") } ?? []
        return named.first.map { " (set by \($0.source))" } ?? ""
    }
}

/// The options of the commands, as the parser describes them.
private struct CommandOptions: Decodable {
    struct Argument: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String
        }
        let kind: String
        let names: [Name]?
        let isRepeating: Bool
    }
    struct Root: Decodable {
        let command: CommandOptions
    }

    let commandName: String
    let arguments: [Argument]?
    let subcommands: [CommandOptions]?

    /// The whole program's. The parser writes what is read here; were it not readable, no command would take settings.
    static let root: CommandOptions = {
        let dump = Data(Carousel._dumpHelp().utf8)
        let read = try? JSONDecoder().decode(Root.self, from: dump).command
        return read ?? CommandOptions(commandName: "carousel", arguments: nil, subcommands: nil)
    }()

    /// The command that a command line means, and how many words name it.
    func command(of arguments: [String]) -> (command: CommandOptions, depth: Int) {
        guard let word = arguments.first, let next = subcommands?.first(where: { $0.commandName == word }) else {
            return (self, 0)
        }
        let (command, depth) = next.command(of: Array(arguments.dropFirst()))
        return (command, depth + 1)
    }

    /// Its options, in the order of the help.
    var options: [CommandSettings.Option] {
        (arguments ?? []).compactMap { argument in
            guard let name = argument.names?.first(where: { $0.kind == "long" })?.name, name != "help" else {
                return nil
            }
            let kind: CommandSettings.Option.Kind =
                argument.kind == "flag" ? .flag : argument.isRepeating ? .list : .value
            return CommandSettings.Option(name: name, kind: kind)
        }
    }

    /// The names of all options of the commands that take settings.
    var names: Set<String> {
        let own = options.map(\.name)
        let inner = (subcommands ?? []).map(\.names)
        return inner.reduce(own.contains("config") ? Set(own) : []) { $0.union($1) }
    }
}
