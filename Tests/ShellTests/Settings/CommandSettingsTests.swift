import Foundation
import Primitives
import Testing

@testable import Shell

/// Options by the command line, the environment and a file: one name, one reader, and an order.
@Suite struct CommandSettingsTests {
    private typealias Option = CommandSettings.Option
    private static let options = [
        Option(name: "udp-port", kind: .value), Option(name: "bootnodes", kind: .value),
        Option(name: "signing-key-file", kind: .list), Option(name: "rebuild", kind: .flag),
    ]
    private static let all = Set(options.map(\.name) + ["lanes", "config"])

    private func settings(
        _ arguments: [String] = [], _ environment: [String: String] = [:], file: String? = nil
    ) throws(SettingsError) -> CommandSettings {
        try CommandSettings(
            options: Self.options, all: Self.all, arguments: arguments, environment: environment,
            file: file.map { ("f.json", Data($0.utf8)) })
    }

    private func failure(_ environment: [String: String] = [:], file: String? = nil) -> SettingsError? {
        do throws(SettingsError) {
            _ = try settings([], environment, file: file)
            return nil
        } catch {
            return error
        }
    }

    @Test func theCommandLineComesFirstThenTheEnvironmentThenTheFile() throws {
        let file = "{\"udp-port\": 3, \"bootnodes\": [\"enr:a\", \"enr:b\"], \"rebuild\": true}"
        let environment = ["CAROUSEL_UDP_PORT": "2", "CAROUSEL_SIGNING_KEY_FILE": "a,b", "CAROUSEL_REBUILD": "0"]
        let line = try settings(["--udp-port", "1"], environment, file: file)
        #expect(line.source(of: "udp-port") == .commandLine && line.given[0].values == ["1"])
        let rest = ["--bootnodes", "enr:a,enr:b", "--signing-key-file", "a", "--signing-key-file", "b", "--rebuild"]
        #expect(line.arguments == rest, "what the command line says is not said twice")
        let both = try settings([], environment, file: file)
        #expect(both.arguments == ["--udp-port", "2"] + rest)
        #expect(both.source(of: "udp-port") == .environment(variable: "CAROUSEL_UDP_PORT"))
        #expect(try settings([], [:], file: file).given.map(\.values) == [["3"], ["enr:a,enr:b"], []])
        #expect(
            try settings([], ["CAROUSEL_UDP_PORT": ""], file: file).lines == [
                "udp-port: 3 (f.json)", "bootnodes: enr:a,enr:b (f.json)", "rebuild: yes (f.json)",
            ], "a variable that is empty is not set")
        #expect(try settings().given.isEmpty)
    }

    @Test func theCommandLineIsReadAsTheParserReadsIt() {
        let port = Self.options[0]
        #expect(CommandSettings.values(of: port, among: ["--udp-port=7"]) == ["7"])
        #expect(CommandSettings.values(of: port, among: ["--udp-port", "7", "--udp-port", "8"]) == ["7", "8"])
        #expect(CommandSettings.values(of: port, among: ["--udp-port"]) == [])
        #expect(CommandSettings.values(of: port, among: ["--udp-ports", "7"]) == nil)
        #expect(CommandSettings.values(of: port, among: ["x", "--", "--udp-port", "7"]) == nil)
        #expect(CommandSettings.values(of: Self.options[3], among: ["--rebuild", "x"]) == [])
    }

    @Test func numbersListsAndFlagsAreWhatTheyAreInJSON() throws {
        let file = "{\"udp-port\": \"9\", \"signing-key-file\": [\"a\", 7], \"rebuild\": false, \"lanes\": 1.5}"
        #expect(try settings(file: file).given.map(\.values) == [["9"], ["a", "7"]])
        #expect(try settings(file: "{\"udp-port\": 65535, \"bootnodes\": null}").given.map(\.values) == [["65535"]])
        #expect(try settings(file: "{\"signing-key-file\": \"one\"}").given.map(\.values) == [["one"]])
        #expect(try settings(file: "{\"lanes\": 4}").given.isEmpty, "that is for another command")
    }

    @Test func whatIsWrongIsSaidInOneLine() {
        #expect(failure(file: "[]") == .notJSON(file: "f.json"))
        #expect(failure(file: "") == .notJSON(file: "f.json"))
        #expect(failure(file: "{\"udp-port\": 1, \"udp-port\": 2}") == .twice(file: "f.json", name: "udp-port"))
        #expect(
            failure(file: "{\"udp_port\": 1}") == .unknown(file: "f.json", name: "udp_port", nearest: "udp-port"))
        #expect(failure(file: "{\"colour\": 1}") == .unknown(file: "f.json", name: "colour", nearest: nil))
        let plain = "a text, a number, true, false or a list"
        #expect(
            failure(file: "{\"udp-port\": {}}") == .wrongType(file: "f.json", name: "udp-port", expected: plain))
        #expect(
            failure(file: "{\"bootnodes\": [[1]]}")
                == .wrongType(file: "f.json", name: "bootnodes", expected: "a list of texts or numbers"))
        #expect(
            failure(file: "{\"udp-port\": true}")
                == .wrongType(file: "f.json", name: "udp-port", expected: "a text or a number"))
        #expect(
            failure(file: "{\"rebuild\": 1}")
                == .wrongType(file: "f.json", name: "rebuild", expected: "true or false"))
        #expect(failure(["CAROUSEL_REBUILD": "maybe"]) == .notYesOrNo(where: "CAROUSEL_REBUILD", found: "maybe"))
        for error in [failure(file: "[]"), failure(file: "{\"udp_port\": 1}"), failure(["CAROUSEL_REBUILD": "no"])] {
            #expect(error.map { !"\($0)".contains("\n") && "\($0)".contains(": ") } == true)
        }
    }

    @Test func theFileIsNamedByTheCommandLineOrTheEnvironment() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/s.json"
        try Data("{}".utf8).write(to: URL(fileURLWithPath: path))
        #expect(try CommandSettings.file(among: ["--config", path], environment: [:])?.content == Data("{}".utf8))
        #expect(try CommandSettings.file(among: [], environment: ["CAROUSEL_CONFIG": path])?.path == path)
        #expect(try CommandSettings.file(among: [], environment: [:]) == nil)
        #expect(throws: SettingsError.cannotRead(file: "/nowhere.json", reason: "no such file")) {
            try CommandSettings.file(among: ["--config=/nowhere.json"], environment: ["CAROUSEL_CONFIG": path])
        }
    }
}
