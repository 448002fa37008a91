import Testing

@testable import Shell

@Suite struct ByteCountTests {
    @Test(arguments: [
        ("64KiB", 65_536), ("1.5 MB", 1_500_000), ("10GB", 10_000_000_000), ("512B", 512), ("20kib/s", 20_480),
    ] as [(String, UInt64)])
    func unitsAreRead(_ text: String, _ bytes: UInt64) {
        #expect(ByteCount(text)?.bytes == bytes)
    }

    @Test(arguments: ["", "64", "KiB", "0MB", "-1MB", "1e3KB", "9999999999999TB", "ten MB", "1.2.3MB", "0x10MB", "1 /s"])
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
    private func syncing(_ share: Double, complete: Bool = false) -> Progress {
        var progress = Progress(phase: .sync)
        progress.epoch = 1_842
        progress.anchorBlock = 471_552
        progress.verified = share
        progress.isComplete = complete
        progress.sections = 158
        progress.wantedSections = 256
        progress.bytes = 432_013_312
        progress.bytesPerSecond = 10_276_045
        progress.peers = 23
        progress.usefulPeers = 17
        progress.lanes = 12
        return progress
    }

    @Test func plainLineHasEveryFigure() {
        #expect(
            ProgressLine.text(syncing(0.6179), style: .plain)
                == "sync  epoch 1842 (block 471552)  keyspace 61.7 %  158/256 sections  412 MiB @ 9.8 MiB/s"
                + "  23 peers (17 useful)  lanes 12")
    }

    @Test func terminalLineHasABarAndIsCut() {
        let line = ProgressLine.text(syncing(0.6179), style: .terminal(columns: 200))
        #expect(line.contains("keyspace 61.7 %  [██████▏   ]  158/256"))
        #expect(ProgressLine.text(syncing(0.6179), style: .terminal(columns: 40)).count == 39)
        #expect(ProgressLine.text(syncing(0.6179), style: .terminal(columns: 0)) == "")
    }

    @Test func theWholeIsShownOnlyOnceItsRootIsVerified() {
        #expect(ProgressLine.percent(syncing(1)) == "99.9")
        #expect(ProgressLine.percent(syncing(1, complete: true)) == "100.0")
        #expect(ProgressLine.percent(syncing(-0.1)) == "0.0")
        #expect(ProgressLine.percent(syncing(.zero)) == "0.0")
    }

    @Test func barHasItsWidthAtEveryShare() {
        for step in 0...1_000 {
            #expect(ProgressLine.bar(Double(step) / 1_000, cells: 10).count == 10)
        }
        #expect(ProgressLine.bar(1, cells: 3) == "███")
    }

    @Test func stallNamesItsReason() {
        var progress = syncing(0.5)
        progress.stall = .init(reason: "no peer holds section 0x9 at epoch 1842", seconds: 45)
        let line = ProgressLine.text(progress, style: .plain)
        #expect(line.hasSuffix("STALLED for 45 s: no peer holds section 0x9 at epoch 1842"))
    }

    @Test func otherPhasesSayWhatTheyDo() {
        var progress = Progress(phase: .follow)
        progress.stateBlock = 399
        progress.headBlock = 400
        progress.epoch = 16
        progress.peers = 1
        #expect(ProgressLine.text(progress, style: .plain) == "follow  block 399 of 400  epoch 16  1 peer (0 useful)")
        progress.phase = .bridge
        #expect(ProgressLine.text(progress, style: .plain) == "bridge  block 400  epoch 16  1 peer (0 useful)")
        progress.phase = .starting
        #expect(ProgressLine.text(progress, style: .plain) == "start  looking for peers  1 peer (0 useful)")
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
        #expect(LogLevel("debug") == .debug && LogLevel("loud") == nil && LogLevel.error < .trace)
    }
}
