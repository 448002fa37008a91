import Discovery
import Primitives
import StateNetwork
import Testing

@testable import Shell

/// When `--until-synced` ends: block by block not by the first state that is complete.
@Suite struct SyncEndTests {
    private func settings(_ end: RuntimeSettings.End, byBlocks: Bool) -> RuntimeSettings {
        var settings = RuntimeSettings(
            role: .walker, dataDirectory: DataDirectory("/nonexistent"), networkFile: "n.json",
            listen: Endpoint(ipv4: (127, 0, 0, 1), port: 0))
        settings.end = end
        settings.keeping.blocks.applies = byBlocks
        return settings
    }

    private func progress(_ mode: SyncMode, behind: UInt64) -> NodeProgress {
        var progress = NodeProgress(phase: .following)
        (progress.sync.mode, progress.sync.behind) = (mode, behind)
        return progress
    }

    @Test func blocksEndWithTheLastOne() {
        let byBlocks = settings(.synced, byBlocks: true)
        #expect(SyncEnd.isReached(by: progress(.pacemaker, behind: 0), byBlocks))
        #expect(!SyncEnd.isReached(by: progress(.pacemaker, behind: 1), byBlocks))
        #expect(!SyncEnd.isReached(by: progress(.sync, behind: 0), byBlocks))
        #expect(!SyncEnd.isReachedByCompletion(byBlocks), "an epoch's first block is complete too")
        #expect(!SyncEnd.isReached(by: progress(.pacemaker, behind: 0), settings(.never, byBlocks: true)))
    }

    @Test func aWalkEndsWithTheStateOfAnAnchor() {
        let walk = settings(.synced, byBlocks: false)
        #expect(SyncEnd.isReachedByCompletion(walk) && !SyncEnd.isReached(by: progress(.pacemaker, behind: 0), walk))
        #expect(!SyncEnd.isReachedByCompletion(settings(.block(3), byBlocks: false)))
    }
}
