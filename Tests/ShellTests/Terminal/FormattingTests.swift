import Chain
import Primitives
import StateContent
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
    private func progress(_ phase: NodeProgress.Phase, held: Double = 0, stall: Stall? = nil) -> NodeProgress {
        var progress = NodeProgress(phase: phase)
        progress.anchor = Anchor(epoch: 1_842, hash: .zero)
        (progress.held, progress.atNewestAnchor) = (held, held / 2)
        (progress.sectionsComplete, progress.sectionsWanted) = (158, 256)
        (progress.stateBytes, progress.bytesPerSecond) = (432_013_312, 10_276_045)
        (progress.peers, progress.usefulPeers, progress.lanes) = (23, 17, 12)
        (progress.head, progress.verifiedHead) = (400, 399)
        progress.stall = stall
        return progress
    }

    private func plain(_ progress: NodeProgress, _ role: Role = .walker) -> String {
        ProgressLine.text(progress, role: role, style: .plain)
    }

    @Test func plainLineHasEveryFigure() {
        #expect(
            plain(progress(.walking, held: 0.6179))
                == "sync  epoch 1842  keyspace 61.7 %  158/256 sections  412 MiB @ 9.8 MiB/s"
                + "  23 peers (17 useful)  lanes 12")
        #expect(plain(progress(.walking), .holder).hasPrefix("fill  epoch 1842  arc 0.0 %  158/256"))
    }

    @Test func terminalLineHasABarAndIsCut() {
        func line(_ columns: Int) -> String {
            ProgressLine.text(
                progress(.walking, held: 0.6179), role: .walker, style: .terminal(columns: columns))
        }
        #expect(line(200).contains("keyspace 61.7 %  [██████▏   ]  158/256"))
        #expect(line(40).count == 39)
        #expect(line(0) == "")
    }

    @Test func theWholeIsShownOnlyOnceItsRootIsVerified() {
        #expect(ProgressLine.percent(progress(.walking, held: 1)) == "99.9")
        #expect(ProgressLine.percent(progress(.following, held: 1)) == "100.0")
        #expect(ProgressLine.percent(progress(.walking, held: -0.1)) == "0.0")
    }

    @Test func barHasItsWidthAtEveryShare() {
        for step in 0...1_000 {
            #expect(ProgressLine.bar(Double(step) / 1_000, cells: 10).count == 10)
        }
        #expect(ProgressLine.bar(1, cells: 3) == "███")
    }

    @Test func stallNamesItsReason() {
        let stall = Stall(seconds: 45, reason: "no peer holds section 0x9 at epoch 1842", advice: "more boot nodes")
        #expect(
            plain(progress(.walking, stall: stall))
                .hasSuffix("STALLED for 45 s: no peer holds section 0x9 at epoch 1842; more boot nodes"))
    }

    @Test func otherPhasesSayWhatTheyDo() {
        var value = progress(.following)
        value.peers = 1
        value.usefulPeers = 0
        // One that takes more of the ring follows with what it has.
        #expect(plain(value) == "follow  block 399 of 400  epoch 1842  158/256 sections  1 peer (0 useful)")
        value.sectionsComplete = value.sectionsWanted
        #expect(plain(value) == "follow  block 399 of 400  epoch 1842  1 peer (0 useful)")
        #expect(plain(value, .bridge) == "bridge  block 400  epoch 1842  1 peer (0 useful)")
        value.phase = .headers
        value.anchor = nil
        #expect(plain(value) == "start  waiting for an attested header  1 peer (0 useful)")
        #expect(plain(value, .bridge) == "bridge  block 400  no epoch yet  1 peer (0 useful)")
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
