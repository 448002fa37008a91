import Foundation
import Node

/// The status record of a data directory: where its node stands, or stood last, as one JSON object. A running node
/// replaces it every second, in one step.
public enum StatusRecord {
    /// A record that was read.
    public struct Reading: Equatable, Sendable {
        public let status: NodeStatus
        /// Seconds since it was written; 0 where the calendar says that it is still to come.
        public let age: UInt64
        /// Whether the node runs: it said so, and not longer ago than a node takes to say it again.
        public let isRunning: Bool
    }

    /// Seconds after which a node that has not written again is taken not to run: it writes every second.
    static let freshSeconds: UInt64 = 5
    /// A record has some 300 bytes a peer and 130 a section run: 4,096 sections and 256 peers stay below this. Nothing
    /// larger is read.
    static let largestBytes = 4 << 20

    /// A record, or a part of one, as it is written.
    static func text(_ status: some Encodable) throws(ShellError) -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(status), as: UTF8.self) + "\n"
        } catch {
            throw .badFile(path: "status.json", reason: "a figure cannot be written: \(error.localizedDescription)")
        }
    }

    /// Replaces the record of a directory.
    static func write(_ status: NodeStatus, to directory: DataDirectory) throws(ShellError) {
        try WholeFile.write(try text(status), to: directory.statusPath, .replaced, flushed: false)
    }

    /// The record of a directory, at a time in Unix seconds. Errors: `noDataDirectory` where no node has worked there,
    /// `badFile` for a record that is missing, damaged or of another layout.
    public static func read(_ directory: DataDirectory, at unixSeconds: UInt64) throws(ShellError) -> Reading {
        let path = directory.statusPath
        guard let data = FileManager.default.contents(atPath: path) else {
            try directory.requireStore()
            throw .badFile(
                path: path, reason: "is not there: no node has run here yet for a second that writes one: start it")
        }
        guard data.count <= largestBytes else {
            throw .badFile(path: path, reason: "is no status record: remove it; a running node writes it anew")
        }
        let status = try decode(data, path)
        let age = unixSeconds - min(status.time, unixSeconds)
        return Reading(status: status, age: age, isRunning: status.running && age <= freshSeconds)
    }

    private static func decode(_ data: Data, _ path: String) throws(ShellError) -> NodeStatus {
        struct Layout: Decodable { let version: Int }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let status: NodeStatus
        do {
            let version = try decoder.decode(Layout.self, from: data).version
            guard version == NodeStatus.currentVersion else {
                throw ShellError.badFile(
                    path: path,
                    reason: "has layout \(version), and this program reads layout \(NodeStatus.currentVersion): use "
                        + "the program that runs the node")
            }
            status = try decoder.decode(NodeStatus.self, from: data)
        } catch let error as ShellError {
            throw error
        } catch {
            throw .badFile(path: path, reason: "is damaged: remove it; a running node writes it anew")
        }
        return status
    }
}
