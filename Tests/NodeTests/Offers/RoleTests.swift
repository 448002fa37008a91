import Chain
import Discovery
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import StateNetwork

@Suite("Roles") struct RoleTests {
    private let key = StateContentKey.blockDiff(
        BlockDiffKey(point: StatePoint(number: 1, hash: .max), section: 3)
    ).encoded

    private func code(_ role: Role, from other: Role?) throws -> AcceptCode? {
        var bench = try Bench(role)
        if let other { bench.meet(other) }
        return bench.code(key, from: Bench.other)
    }

    @Test func offersAreTakenAsTheRoleAllows() throws {
        #expect(try code(.holder, from: .holder) == .accepted)
        #expect(try code(.holder, from: .bridge) == .accepted)
        #expect(try code(.holder, from: nil) == .accepted)
        #expect(try code(.walker, from: .holder) == .accepted)
        #expect(try code(.walker, from: .bridge) == .declined)
        #expect(try code(.walker, from: nil) == .declined, "it may be a bridge")
        #expect(try code(.bridge, from: .holder) == .declined, "its state comes from its own chain")
    }

    @Test func anAcceptedKeyIsNotAcceptedTwice() throws {
        var bench = try Bench(.holder)
        check(bench.code(key) == .accepted)
        check(bench.code(key, from: Bytes32(8, 8, 8, 8)) == .inProgress)
        bench.now = bench.now + StateNetworkLimits.expectedWait
        check(bench.code(key) == .accepted)
        let range = try #require(
            RangeKey(anchor: Bench.anchor, origin: Cursor(account: .zero), limit: Cursor(account: .max), maxBytes: 1))
        let asked = StateContentKey.range(range).encoded
        check(bench.code(asked) == .declined)
        check(bench.code([]) == .declined)
    }

    /// A later version may add roles: who plays one is asked for nothing, and that is no lie.
    @Test func anUnknownRoleCostsNothing() throws {
        var bench = try Bench(.walker)
        let later = Role(rawValue: 7)
        let served = [AnchorSections(anchor: Bench.anchor, runs: [0..<16])]
        let payload = StatePingPayload(role: later, radius: .max, head: Bench.genesis, served: served)
        #expect(try StatePingPayload(decoding: payload.encoded) == payload)
        let info = try #require(Bench.info(1)?.saying(payload.encoded))
        bench.node.perform(Overlay.Directive.peerUpdated(.state, info), at: bench.moment)
        #expect(bench.node.holders[Bench.other]?.role == later && "\(later)" == "role 7")
        #expect(bench.node.overlay.standing(of: Bench.other)?.score ?? 0 >= 0)
        for role in [Role.holder, .bridge, .walker] { #expect(!role.takesState(from: later)) }
        _ = bench.handle(.tick)
        #expect(bench.node.requests.isEmpty)
        #expect(try code(.holder, from: later) == .declined)
    }

    @Test func aWalkerAsksNoBridge() throws {
        var walker = try Bench(.walker)
        walker.meet(.bridge)
        let bridge = try #require(walker.node.holders[Bench.other])
        #expect(bridge.role == .bridge && !walker.node.configuration.role.takesState(from: bridge.role))
        #expect(Role.holder.takesState(from: .bridge) && Role.walker.takesState(from: .holder))
    }

    /// Jobs begun for a range request.
    private func jobs(_ bench: inout Bench, asker: Bytes32) throws -> Int {
        let key = try #require(
            RangeKey(
                anchor: Bench.anchor, origin: Cursor(account: .zero), limit: Cursor(account: .max), maxBytes: 4_096))
        let wanted = bench.tell(
            .asked(key: StateContentKey.range(key).encoded, by: asker, Overlay.ContentToken(value: 1)))
        return wanted.count { if case .run(_, .serveRange) = $0 { true } else { false } }
    }

    @Test func aBridgeServesHoldersOnly() throws {
        var bridge = try Bench(.bridge)
        bridge.meet(.walker)
        #expect(try jobs(&bridge, asker: Bench.other) == 0)
        #expect(try jobs(&bridge, asker: Bytes32(8, 8, 8, 8)) == 0, "who has not said what it is")
        #expect(try jobs(&bridge, asker: Bench.peer) == 1)
        var holder = try Bench(.holder)
        #expect(try jobs(&holder, asker: Bytes32(8, 8, 8, 8)) == 1)
    }

    @Test func servingJobsAreBounded() throws {
        var holder = try Bench(.holder)
        var begun = 0
        for _ in 0..<(StateNetworkLimits.servingJobs + 20) { begun += try jobs(&holder, asker: Bench.peer) }
        #expect(begun == StateNetworkLimits.servingJobs && holder.node.state.operations.servingCount == begun)
    }
}
