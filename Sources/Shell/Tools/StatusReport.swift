import Foundation
import Node

/// What `carousel status` and `carousel peers` print: the status record of a data directory, as text or as JSON.
public enum StatusReport {
    /// What is asked for.
    public enum Subject: Sendable {
        case status, peers
    }

    /// Prints what is asked for; whether the node runs. Throws where there is no record that can be read.
    public static func run(_ subject: Subject, of directory: DataDirectory, json: Bool) throws -> Bool {
        let reading = try StatusRecord.read(directory, at: UInt64(Date().timeIntervalSince1970))
        let text = json ? try jsonText(subject, reading) : lines(subject, reading).map { $0 + "\n" }.joined()
        FileHandle.standardOutput.write(Data(text.utf8))
        return reading.isRunning
    }

    private static func lines(_ subject: Subject, _ reading: StatusRecord.Reading) -> [String] {
        switch subject {
        case .status: StatusText.lines(reading)
        case .peers: PeersText.lines(reading)
        }
    }

    /// The record with `running` as it is now; of the peers their list alone.
    static func jsonText(_ subject: Subject, _ reading: StatusRecord.Reading) throws(ShellError) -> String {
        var status = reading.status
        status.running = reading.isRunning
        switch subject {
        case .status: return try StatusRecord.text(status)
        case .peers: return try StatusRecord.text(PeerList(time: status.time, running: status.running, status.peerList))
        }
    }

    /// The peers of a record, with its time.
    private struct PeerList: Encodable {
        let time: UInt64
        let running: Bool
        let peers: [NodeStatus.Peer]

        init(time: UInt64, running: Bool, _ peers: [NodeStatus.Peer]) {
            self.time = time
            self.running = running
            self.peers = peers
        }
    }
}
