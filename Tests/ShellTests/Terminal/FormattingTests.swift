import Chain
import Primitives
import StateNetwork
import Testing

@testable import Node
@testable import Shell

@Suite struct ByteCountTests {
    @Test(
        arguments: [
            ("64KiB", 65_536), ("1.5 MB", 1_500_000), ("10GB", 10_000_000_000), ("512B", 512), ("20kib/s", 20_480),
        ] as [(String, UInt64)])
    func unitsAreRead(_ text: String, _ bytes: UInt64) {
        #expect(ByteCount(text)?.bytes == bytes)
    }

    @Test(arguments: [
        "", "64", "KiB", "0MB", "-1MB", "1e3KB", "9999999999999TB", "ten MB", "1.2.3MB", "0x10MB", "1 /s",
    ])
    func everythingElseIsRefused(_ text: String) {
        #expect(ByteCount(text) == nil)
    }

    @Test func countsAreWrittenShortly() {
        let counts: [UInt64] = [0, 999, 1_023, 1_434, 102_400, 1_048_064, 1 << 20, 432_013_312, 5 << 40]
        let texts = counts.map { ByteCount(bytes: $0).description }
        #expect(
            texts == ["0 B", "999 B", "1.0 KiB", "1.4 KiB", "100 KiB", "1.0 MiB", "1.0 MiB", "412 MiB", "5.0 TiB"])
    }
}

@Suite struct ProgressLineTests {
    private func plain(_ status: NodeStatus) -> String { ProgressLine.text(status, style: .plain) }

    @Test func plainLineHasEveryFigure() {
        #expect(
            plain(SomeStatus.walking())
                == "sync  epoch 1842 (block 471552, 3 m 5 s old)  keyspace 61.7 %  158/256 sections (6 in flight)  "
                + "412 MiB @ 9.8 MiB/s  23 peers (17 holding, 12 useful)  lanes 1")
        let filling = "fill  epoch 1842 (block 471552, 3 m 5 s old)  arc 61.7 %  158/256"
        #expect(plain(SomeStatus.walking("holder")).hasPrefix(filling))
    }

    @Test func whatIsOfOlderEpochsIsToldApart() {
        var status = SomeStatus.walking()
        (status.keyspace.newest, status.keyspace.stale) = (0.4, 0.2179)
        #expect(plain(status).contains("keyspace 61.7 % (21.7 % of older epochs)  158/256 sections"))
        status.sections.stale = 12
        #expect(plain(status).contains("  158/256 sections (12 stale, 6 in flight)  412 MiB"))
        status.transfer.remaining = 250
        status.peers.charged = 2
        #expect(plain(status).contains("MiB/s  eta 4 m 10 s  23 peers (17 holding, 12 useful, 2 charged)"))
        (status.crossings.count, status.crossings.share) = (3, 1.256)
        #expect(plain(status).contains("eta 4 m 10 s  3 crossed, 1.25 of an epoch each  23 peers"))
        #expect(plain(status).hasSuffix("lanes 1  never catches up: an epoch takes 1.25 epochs"))
    }

    @Test func terminalLineHasABarAndIsCut() {
        func line(_ columns: Int) -> String {
            ProgressLine.text(SomeStatus.walking(), style: .terminal(columns: columns))
        }
        #expect(line(200).contains("keyspace 61.7 %  [██████▏   ]  158/256"))
        #expect(line(40).count == 39)
        #expect(line(0) == "")
    }

    @Test func theWholeIsShownOnlyOnceItsRootIsVerified() {
        func held(_ share: Double, _ phase: String, isVerified: Bool) -> String {
            var status = SomeStatus.walking()
            (status.keyspace.held, status.phase, status.keyspace.rootVerified) = (share, phase, isVerified)
            return ProgressLine.held(status)
        }
        #expect(held(1, "walking", isVerified: false) == "99.9")
        #expect(held(1, "walking", isVerified: true) == "99.9", "it walks again")
        #expect(held(1, "following", isVerified: false) == "99.9")
        #expect(held(1, "following", isVerified: true) == "100.0")
        #expect(held(-0.1, "walking", isVerified: false) == "0.0")
    }

    @Test func barHasItsWidthAtEveryShare() {
        for step in 0...1_000 {
            #expect(ProgressLine.bar(Double(step) / 1_000, cells: 10).count == 10)
        }
        #expect(ProgressLine.bar(1, cells: 3) == "███")
    }

    @Test func stallNamesItsReason() {
        let cause = StallReason.noHolders(
            section: "0x9", Anchor(epoch: 1_842, hash: .zero), elsewhere: 3,
            search: "a search for more is about to begin")
        var status = SomeStatus.walking()
        status.stall = SomeStatus.stall(Stall(seconds: 45, cause: cause))
        #expect(
            plain(status).hasSuffix(
                "STALLED for 45 s: nobody known has section 0x9 at epoch 1842 (00000000) (3 at epoch 1841); "
                    + "a search for more is about to begin"))
    }

    @Test func otherPhasesSayWhatTheyDo() {
        var status = SomeStatus.walking()
        status.peers = SomeStatus.peers(1, holding: 0, useful: 0)
        status.phase = "following"
        // One that takes more of the ring follows with what it has.
        #expect(plain(status) == "follow  block 399 of 400  epoch 1842  158/256 sections  1 peer (0 holding, 0 useful)")
        status.sections.complete = status.sections.wanted
        #expect(plain(status) == "follow  block 399 of 400  epoch 1842  1 peer (0 holding, 0 useful)")
        status.phase = "outdated"
        #expect(plain(status) == "old head  block 399 of 400  epoch 1842  1 peer (0 holding, 0 useful)")
        (status.phase, status.peers) = ("alone", SomeStatus.peers(0, holding: 0, useful: 0))
        #expect(plain(status) == "alone  block 399 of 400  epoch 1842  0 peers (0 holding, 0 useful)")
        status.phase = "replaying"
        #expect(plain(status) == "bridge  block 400  epoch 1842  0 peers (0 holding, 0 useful)")
        status.phase = "headers"
        status.epoch = nil
        #expect(plain(status) == "start  waiting for an attested header  0 peers (0 holding, 0 useful)")
        status.phase = "replaying"
        #expect(plain(status) == "bridge  block 400  no epoch yet  0 peers (0 holding, 0 useful)")
    }

    @Test func durationsHaveTwoUnits() {
        let texts = [0, 45, 60, 250, 7_200, 284_400].map { DurationText.text($0) }
        #expect(texts == ["0 s", "45 s", "1 m 0 s", "4 m 10 s", "2 h 0 m", "3 d 7 h"])
    }
}

@Suite struct LogLineTests {
    @Test func jsonLineIsEscaped() {
        let line = Terminal.line(.warn, "a \"b\"\n\u{1}", format: .json, unixSeconds: 0)
        #expect(
            line == #"{"time":"1970-01-01T00:00:00Z","level":"warn","message":"a \"b\"\n\u0001"}"#)
        #expect(Terminal.line(.info, "x", format: .plain, unixSeconds: 60) == "1970-01-01T00:01:00Z info x")
    }

    @Test func levelsAreRead() {
        #expect(LogLevel(rawValue: "debug") == .debug && LogLevel(rawValue: "loud") == nil && LogLevel.error < .trace)
    }
}
