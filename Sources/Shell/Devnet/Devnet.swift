import Foundation
import Node
import Primitives

/// A network on this machine: every node a process of its own with a folder of its own, under one folder. It begins
/// them one after the other, watches over them, and ends them all when it ends.
public final class Devnet {
    /// One node.
    public struct Member: Sendable {
        /// Its folder's name.
        public var name: String
        /// The command that runs it, with all its options but those of where it is and whom it joins by.
        public var arguments: [String]
        /// Whether the whole state is what it is to have in the end.
        public var isClient: Bool

        public init(_ name: String, _ arguments: [String], isClient: Bool = false) {
            self.name = name
            self.arguments = arguments
            self.isClient = isClient
        }
    }

    /// How it runs.
    public struct Settings: Sendable {
        /// The folder for all of it, which must not be there, or be empty.
        public var directory: DataDirectory
        /// The network's configuration file, in that folder or anywhere.
        public var network: String
        /// In the order in which they begin. All others join by the first.
        public var members: [Member]
        /// Seconds after which the last member that is no client is killed; so many seconds later it comes back.
        public var lostAfter: UInt64?
        /// The line of one member, by name, and the seed of what is lost on it; nil: all are on one machine.
        public var slowLine: (member: String, shape: LineShape, seed: UInt64)?
        /// Whether it ends once every client has the whole state.
        public var endsWhenSynced = false

        public init(directory: DataDirectory, network: String, members: [Member]) {
            self.directory = directory
            self.network = network
            self.members = members
        }
    }

    private let settings: Settings
    private let program: String
    private var processes: [String: DevnetProcess] = [:]
    private let signals: Signals
    /// What hands datagrams on between members, where one has a slow line.
    private let relay: DevnetRelay?
    private var isLost = false
    /// When it began.
    private let began = Date()
    private var toldAt = Date()
    /// Clients that were said to have the whole state.
    private var synced: Set<String> = []

    /// Seconds between two looks at the processes, and at their status records.
    private static let look = 0.1
    /// Seconds between two lines about how far the network is.
    private static let lineSeconds = 10.0
    /// Seconds for a process to be ready, and to end once it was asked to.
    private static let startSeconds = 60.0, endSeconds = 20.0

    /// Holds back SIGINT and SIGTERM. Throws where the system does not say which program this is.
    public init(_ settings: Settings) throws(ShellError) {
        self.settings = settings
        signals = try Signals()
        let names = settings.members.map(\.name)
        relay = try settings.slowLine.flatMap { line throws(ShellError) in
            guard let slow = names.firstIndex(of: line.member) else { return nil }
            return try DevnetRelay(nodes: names.count, slow: slow, line.shape, seed: line.seed)
        }
        do {
            program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        } catch {
            throw .file(path: "/proc/self/exe", reason: error.localizedDescription)
        }
    }

    /// Throws where the folder has anything in it; makes it where it is not there.
    public static func prepare(_ directory: DataDirectory) throws(ShellError) {
        let path = directory.path
        if let names = try? FileManager.default.contentsOfDirectory(atPath: path), !names.isEmpty {
            throw .file(path: path, reason: "is not empty: every devnet begins anew; give another --data-dir")
        }
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .file(path: path, reason: "cannot be made: give another directory with --data-dir")
        }
    }

    /// Runs it until a signal, or until it is done; the exit code. Whatever happens, no process is left.
    public func run() throws -> Int32 {
        defer { stop() }
        relay?.start()
        for member in settings.members {
            guard try begin(member) else { return 0 }
        }
        say("all \(settings.members.count) run; SIGINT (Ctrl-C) or SIGTERM ends them")
        while true {
            guard signals.next() == nil else { return 0 }
            try lookAfterAll()
            try loseOne()
            tellProgress()
            if settings.endsWhenSynced, synced.count == settings.members.count(where: \.isClient) { return 0 }
            Thread.sleep(forTimeInterval: Devnet.look)
        }
    }

    // MARK: Processes

    private func directory(of member: Member) -> DataDirectory {
        DataDirectory("\(settings.directory.path)/\(member.name)")
    }

    /// Starts one and waits until others may join by it; false where a signal came first.
    private func begin(_ member: Member) throws -> Bool {
        let own = directory(of: member)
        let boot = try settings.members.first.map { first in
            try first.name == member.name ? "none" : directory(of: first).readRecord()
        }
        var arguments =
            member.arguments + [
                "--network", settings.network, "--data-dir", own.path, "--bootnodes", boot ?? "none",
                "--listen-address", "127.0.0.1",
            ]
        if let relay, let index = settings.members.firstIndex(where: { $0.name == member.name }) {
            let place = relay.places[index]
            arguments += ["--udp-port", "\(place.inside.port)", "--nat", "extip:127.0.0.1:\(place.outside.port)"]
        } else {
            arguments += ["--udp-port", "0"]
        }
        let process = DevnetProcess(program: program, arguments: arguments, log: own.path + "/log")
        try FileManager.default.createDirectory(atPath: own.path, withIntermediateDirectories: true)
        try process.start()
        processes[member.name] = process
        let deadline = Date(timeIntervalSinceNow: Devnet.startSeconds)
        while (try? own.readRecord()) == nil {
            guard signals.next() == nil else { return false }
            try lookAfterAll()
            guard Date() < deadline else {
                throw ShellError.file(path: process.log, reason: "\(member.name) is not ready: see there why")
            }
            Thread.sleep(forTimeInterval: Devnet.look)
        }
        say("\(member.name): process \(process.id), 'carousel status --data-dir \(own.path)', log \(process.log)")
        return true
    }

    /// Throws where one has ended that was not to.
    private func lookAfterAll() throws {
        for (name, process) in processes.sorted(by: { $0.key < $1.key }) {
            guard let code = process.exitCode else { continue }
            throw ShellError.file(
                path: process.log, reason: "\(name) ended with exit code \(code): \(process.lastLine)")
        }
    }

    /// Kills the last node that is no client, and starts it again, where that is due.
    private func loseOne() throws {
        guard let after = settings.lostAfter, let member = settings.members.last(where: { !$0.isClient }) else {
            return
        }
        let seconds = Date().timeIntervalSince(began)
        if !isLost, processes[member.name] != nil, seconds >= Double(after), seconds < 2 * Double(after) {
            processes.removeValue(forKey: member.name)?.kill()
            isLost = true
            say("\(member.name) is lost: it was killed")
        } else if isLost, seconds >= 2 * Double(after) {
            isLost = false
            say("\(member.name) comes back")
            _ = try begin(member)
        }
    }

    private func stop() {
        let running = processes.values
        for process in running { process.terminate() }
        let deadline = Date(timeIntervalSinceNow: Devnet.endSeconds)
        while running.contains(where: { $0.exitCode == nil }), Date() < deadline {
            Thread.sleep(forTimeInterval: Devnet.look)
        }
        for process in running where process.exitCode == nil { process.kill() }
        relay?.stop()
        say("all have ended")
    }

    // MARK: What is told

    private func say(_ text: String) { FileHandle.standardOutput.write(Data("devnet: \(text)\n".utf8)) }

    private func status(of member: Member) -> NodeStatus? {
        try? StatusRecord.read(directory(of: member), at: UInt64(Date().timeIntervalSince1970)).status
    }

    /// Tells which client has the whole state for the first time, and now and then where all clients are.
    private func tellProgress() {
        let clients = settings.members.filter(\.isClient)
        for client in clients where !synced.contains(client.name) {
            guard let complete = status(of: client)?.complete else { continue }
            synced.insert(client.name)
            say("\(client.name) has the whole state of epoch \(complete.epoch), root \(complete.root ?? "")")
        }
        guard Date().timeIntervalSince(toldAt) >= Devnet.lineSeconds else { return }
        toldAt = Date()
        for client in clients {
            guard let status = status(of: client) else { continue }
            let epoch = status.epoch.map { ", epoch \($0.number) is final" } ?? ""
            say("head \(status.head.block)\(epoch); \(client.name): \(status.phase), verified \(status.head.verified)")
        }
    }
}
