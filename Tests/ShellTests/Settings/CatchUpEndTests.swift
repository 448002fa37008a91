import Chain
import Discovery
import Primitives
import StateNetwork
import Testing

@testable import Shell

/// When `--catch-up` goes over from blocks to state, and back.
@Suite struct CatchUpEndTests {
    private func settings(_ plan: CatchUp, applies: Bool) -> RuntimeSettings {
        var settings = RuntimeSettings(
            role: .walker, dataDirectory: DataDirectory("/nonexistent"), networkFile: "n.json",
            listen: Endpoint(ipv4: (127, 0, 0, 1), port: 0))
        settings.keeping.blocks.applies = applies
        settings.keeping.blocks.catchUp = plan
        return settings
    }

    private func progress(_ mode: SyncMode, behind: UInt64 = 0, _ plan: CatchUp = .auto) -> NodeProgress {
        var progress = NodeProgress(phase: .applying)
        (progress.sync.mode, progress.sync.behind) = (mode, behind)
        progress.sync.choice = CatchUpChoice(
            plan, behind: behind, epochLength: 8, blockBytes: 10, listBytes: 10, sections: 16, hasLaterAnchor: true)
        return progress
    }

    @Test func whoIsFarBehindGoesOverToState() {
        let blocks = settings(.auto, applies: true)
        func isReached(_ progress: NodeProgress) -> Bool {
            CatchUpEnd.isReached(by: progress, blocks, wholeState: { nil })
        }
        #expect(isReached(progress(.sync, behind: 17)))
        #expect(!isReached(progress(.sync, behind: 16)) && !isReached(progress(.pacemaker, behind: 17)))
        #expect(
            CatchUpEnd.line(progress(.sync, behind: 17), blocks)
                == "17 blocks behind: the state of the newest anchor is fetched; by blocks it would be 170 B, by state "
                + "16554 B and less")
    }

    @Test func whoHasTheWholeStateGoesOverToBlocks() {
        let state = settings(.state, applies: false)
        let (anchor, old) = (StatePoint(number: 16, hash: .max), StatePoint(number: 8, hash: .zero))
        var whole = progress(.sync)
        (whole.phase, whole.anchor, whole.sync.hasNewestHeaders) = (.following, Anchor(epoch: 2, hash: .max), true)
        #expect(CatchUpEnd.isReached(by: whole, state, wholeState: { anchor }))
        #expect(!CatchUpEnd.isReached(by: whole, state, wholeState: { old }), "that of an older anchor is none")
        #expect(!CatchUpEnd.isReached(by: whole, state, wholeState: { nil }))
        var walking = whole
        walking.phase = .walking
        var unsure = whole
        unsure.sync.hasNewestHeaders = false
        for early in [walking, unsure] {
            var isAsked = false
            let isReached = CatchUpEnd.isReached(by: early, state) {
                isAsked = true
                return anchor
            }
            #expect(!isReached && !isAsked, "the store is read only where it may be so")
        }
        #expect(!SyncEnd.isReachedByCompletion(state), "the state is not the end of it")
    }

    @Test func withoutTheFlagNothingGoesOver() {
        for applies in [false, true] {
            let plain = settings(.blocks, applies: applies)
            for mode in [SyncMode.sync, .pacemaker] {
                #expect(
                    !CatchUpEnd.isReached(
                        by: progress(mode, behind: 99, .blocks), plain,
                        wholeState: { StatePoint(number: 16, hash: .max) }))
            }
        }
    }
}
