import Foundation
import StateNetwork
import Testing

@testable import Node
@testable import Shell

/// The record that a node writes of where it stands: what is read is what was written, and nothing else is taken for
/// one.
@Suite struct StatusRecordTests {
    private func withDirectory(_ body: (DataDirectory) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "status-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder + "/store", withIntermediateDirectories: true)
        try body(DataDirectory(folder))
    }

    @Test func whatWasWrittenIsRead() throws {
        try withDirectory { directory in
            var status = SomeStatus.walking()
            status.stall = SomeStatus.stall(Stall(seconds: 31, cause: .storeFull))
            try StatusRecord.write(status, to: directory)
            let reading = try StatusRecord.read(directory, at: status.time + 5)
            #expect(reading == StatusRecord.Reading(status: status, age: 5, isRunning: true))
            #expect(try StatusRecord.read(directory, at: status.time - 9).isRunning, "clocks are set back")
        }
    }

    @Test func itsKeysStayAsTheyAre() throws {
        let text = try StatusRecord.text(SomeStatus.walking())
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let keys = [
            "crossings", "done", "epoch", "head", "keyspace", "lanes", "node", "peer_list", "peers", "phase", "running",
            "sections", "supply", "time", "transfer", "upkeep", "version",
        ]
        #expect(object.keys.sorted() == keys)
        let peer = try #require((object["peer_list"] as? [[String: Any]])?.first)
        let peerKeys = [
            "address", "arc", "client", "epoch", "failure_rate", "head", "highest", "highest_block", "id", "in_flight",
            "lowest", "lowest_block", "mode", "rate", "role", "round_trip", "sections", "useful_for",
        ]
        #expect(peer.keys.sorted() == peerKeys)
        let sections = try #require(object["sections"] as? [String: Any])
        #expect(sections.keys.sorted() == ["begun", "complete", "in_flight", "stale", "verified", "wanted"])
    }

    /// After five seconds without another record, and after one that was the last, nothing runs there.
    @Test func anOldRecordIsNoRunningNode() throws {
        try withDirectory { directory in
            var status = SomeStatus.walking()
            try StatusRecord.write(status, to: directory)
            let reading = try StatusRecord.read(directory, at: status.time + 6)
            #expect(!reading.isRunning && reading.age == 6)
            #expect(
                StatusText.lines(reading)[0] == "not running: last written at 2027-01-15T08:00:00Z, 6 s ago; then:")
            status.running = false
            try StatusRecord.write(status, to: directory)
            let last = try StatusRecord.read(directory, at: status.time + 1)
            #expect(!last.isRunning)
            #expect(StatusText.lines(last)[0] == "not running: stopped at 2027-01-15T08:00:00Z, 1 s ago; then:")
            #expect(try StatusReport.jsonText(.status, last).contains("\"running\":false"))
        }
    }

    @Test func whatIsNoRecordIsRefusedInOneLine() throws {
        try withDirectory { directory in
            func refusal() -> String {
                do throws(ShellError) {
                    _ = try StatusRecord.read(directory, at: 0)
                    return "read"
                } catch {
                    return "\(error)"
                }
            }
            let path = directory.path + "/status.json"
            #expect(
                refusal()
                    == "\(path): is not there: no node has run here yet for a second that writes one: start it")
            for text in ["", "{", "{\"version\":1}", "[]", "role=walker\n"] {
                try WholeFile.write(text, to: path, .replaced)
                #expect(refusal() == "\(path): is damaged: remove it; a running node writes it anew")
            }
            try WholeFile.write("{\"version\":2}", to: path, .replaced)
            #expect(
                refusal()
                    == "\(path): has layout 2, and this program reads layout 1: use the program that runs the node")
            try WholeFile.write(String(repeating: " ", count: (4 << 20) + 1), to: path, .replaced)
            #expect(refusal() == "\(path): is no status record: remove it; a running node writes it anew")
        }
        for path in ["/nonexistent/carousel", NSTemporaryDirectory()] {
            #expect(throws: ShellError.noDataDirectory(DataDirectory(path).path)) {
                _ = try StatusRecord.read(DataDirectory(path), at: 0)
            }
        }
    }

    /// Any byte of a record that is another makes another record, or none: no reader crashes.
    @Test func changedBytesAreReadOrRefused() throws {
        try withDirectory { directory in
            let path = directory.path + "/status.json"
            let text = Array(try StatusRecord.text(SomeStatus.walking()).utf8)
            for place in stride(from: 0, to: text.count, by: 7) {
                var bytes = text
                bytes[place] ^= 0x11
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                do throws(ShellError) {
                    _ = StatusText.lines(try StatusRecord.read(directory, at: 1_800_000_001))
                } catch {
                    guard case .badFile = error else {
                        Issue.record("\(error)")
                        return
                    }
                }
            }
        }
    }

    /// The command as people use it: nothing there is one line and exit code 1.
    @Test func theCommandsSayWhereNoNodeIs() throws {
        for command in ["status", "peers"] {
            guard let outcome = try Program.run([command, "--data-dir", "/nonexistent/carousel"]) else { return }
            #expect(outcome.code == 1 && outcome.output == "")
            #expect(
                outcome.errors == "carousel: /nonexistent/carousel: no node has worked here: give its directory with "
                    + "--data-dir\n")
        }
        // The directory is named by the environment as it is for the node itself.
        for command in [["status"], ["peers"], ["verify"], ["get", "code", "0x" + String(repeating: "00", count: 20)]] {
            let environment = [
                "CAROUSEL_DATA_DIR": "/nonexistent/elsewhere", "CAROUSEL_NETWORK": "/nonexistent/n.json",
            ]
            guard let outcome = try Program.run(command, environment: environment) else { return }
            #expect(outcome.code == 1 && outcome.errors.contains("/nonexistent/"), "\(command)")
        }
        try withDirectory { directory in
            // Long past by the clock of any machine.
            var status = SomeStatus.walking()
            status.time = 1_000_000_000
            try StatusRecord.write(status, to: directory)
            guard let outcome = try Program.run(["peers", "--json", "--data-dir", directory.path]) else { return }
            #expect(outcome.code == 1 && outcome.errors == "")
            #expect(outcome.output.hasPrefix("{\"peers\":[{\"address\":\"10.0.0.1:9009\""))
        }
    }
}

@Suite struct StatusTextTests {
    private func reading(_ status: NodeStatus) -> StatusRecord.Reading {
        StatusRecord.Reading(status: status, age: 0, isRunning: true)
    }

    @Test func everyLineExplainsItself() {
        var status = SomeStatus.walking()
        (status.keyspace.newest, status.keyspace.stale, status.keyspace.oldestEpoch) = (0.4, 0.2179, 1_840)
        status.crossings = NodeStatus.Crossings(
            count: 2, rollForward: 12.5, epochLength: 100, share: 0.125, underWay: false)
        status.stall = SomeStatus.stall(Stall(seconds: 31, cause: .downloadLimited(bytesPerSecond: 1_024)))
        (status.head.mode, status.head.modeFor, status.head.behind) = ("sync", 200, 3)
        (status.head.lowest, status.head.highest) = (0, 400)
        (status.peers.told, status.peers.toldLowest, status.peers.toldHighest) = (5, 0, 403)
        let lines = [
            "node        walker 0xabababab on network demo, carousel 0.1.0, up 3 m 20 s",
            "phase       walking: the state is being fetched, time left unknown",
            "epoch       1842 (block 471552, 0x00ff00ff, final here for 3 m 5 s)",
            "head        block 400, attested 3 s ago; what is held is verified at block 399",
            "mode        sync: catching up, 3 blocks behind, for 3 m 20 s; serves headers 0 to 400; 5 peers say they "
                + "have blocks 0 to 403",
            "keyspace    61.7 % is held and verified: 40.0 % at epoch 1842, 21.7 % at older ones (from 1840 on), which "
                + "is being brought forward; the root of all is not verified yet",
            "sections    158 of 256 are whole: 158 at the newest epoch, 0 stale; 4 begun, 6 asked for",
            "received    412 MiB of verified state at 9.8 MiB/s, 477 MiB in all",
            "crossings   2 while fetching; the last took 12.5 s, 12.5 % of an epoch of 100.0 s",
            "peers       23 connected, 17 hold state, 12 were of use, 0 not believed now, 0 banned; 0 searches under "
                + "way",
            "lane 0      section 0x9e, 50.0 % held: asked peer 11223344 for 1.2 s",
            "stalled     for 31 s (download_limited): held back by --max-download-rate (1024 B/s): nothing may be "
                + "asked for now",
            "what helps  waiting until the limit allows the next range; raise it, or lower --range-size",
        ]
        #expect(StatusText.lines(reading(status)) == lines)
    }

    @Test func peersAreATable() {
        let lines = PeersText.lines(reading(SomeStatus.walking()))
        #expect(lines.count == 4)
        #expect(
            lines[1]
                == "11223344  10.0.0.1:9009  carousel/0.1.0  holder  0x80-0xff  128       1842   0-400    403   "
                + "1-400   pacemaker  41.5 ms  25.0 %  2.0 MiB/s  2      for 1 m 30 s  -")
        #expect(lines[2].hasPrefix("99aabbcc  -  ") && lines[2].hasSuffix("no            banned, 1 m 1 s more"))
        #expect(lines[3] == "and 22 more")
    }

    /// What a peer calls itself cannot write to the terminal.
    @Test func namesOfPeersAreShownAsText() {
        #expect(NodeStatus.Peer.printable(Array("a\u{1b}[2Jb\n\u{7f}é".utf8)) == "a?[2Jb????")
    }
}
