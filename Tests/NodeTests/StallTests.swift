import Chain
import ChainNetwork
import Primitives
import StateContent
import Testing

@testable import Node
@testable import StateNetwork

/// Why nothing is verified: what is not known is not told as something that is.
@Suite("Reasons of a stall") struct StallTests {
    private static let key = 0

    /// The first block above genesis, attested by the bench's key and called final where that is asked for.
    private func block(isFinal: Bool) throws -> CertifiedHeader {
        let header = try Bench.block(1).header
        let context = ClaimContext(try Bench.configuration(.walker).network)
        let claims = [Claim.Kind.head] + (isFinal ? [.final] : [])
        let signed = try claims.map { kind in
            try Bench.attestingKey(Self.key).sign(
                Claim(kind: kind, point: header.point, unixSeconds: 1_800_000_000), in: context)
        }
        return CertifiedHeader(header: header, certificate: Certificate(signed))
    }

    /// Peers serve an epoch that no header is here for: that is no lack of holders.
    @Test func peersThatAreAheadOfTheHeadersAreNamed() throws {
        var bench = try Bench(.walker, isFull: false)
        #expect(Standing.epochAhead(bench.node, of: Bench.anchor) == nil)
        func tell(_ epochs: [UInt64]) throws {
            let served = epochs.map { epoch in
                AnchorSections(
                    anchor: epoch == 0 ? Bench.anchor : Anchor(epoch: epoch, hash: .max), runs: [0..<16])
            }
            let payload = StatePingPayload(role: .holder, radius: .max, head: nil, served: served)
            bench.node.state.holders.told(payload, by: try #require(Bench.info(1)), at: bench.now)
        }
        try tell([5, 6])
        #expect(Standing.epochAhead(bench.node, of: Bench.anchor) == 6)
        try tell([0, 6])
        #expect(Standing.epochAhead(bench.node, of: Bench.anchor) == nil, "somebody serves ours")
    }

    /// Attested headers are here, and none of them is an epoch's first block and final.
    @Test(arguments: [false, true]) func headersWithoutAnAnchorAreToldSo(isFinal: Bool) throws {
        var bench = try Bench(.walker, isFull: false)
        #expect(Standing.noAnchor(bench.node) == .noAttestedHead(hasChainPeers: false))
        bench.node.chain.handle(.learned(try block(isFinal: isFinal), from: Bench.peer), at: bench.now)
        #expect(bench.node.chain.head.number == 1 && bench.node.chain.newestAnchor == nil)
        let cause = Standing.noAnchor(bench.node)
        #expect(cause == .noFinalEpoch(head: 1, final: isFinal ? 1 : 0, next: 8))
        let final = isFinal ? 1 : 0
        #expect(
            cause.text
                == "headers are here up to block 1, final up to \(final), and none that is final begins an epoch")
        #expect(cause.advice == "waiting until block 8, which begins one, is final")
    }

    /// Nobody answers, for as long as it takes to call that a stall.
    @Test func aNodeWithoutPeersSaysSo() throws {
        let bench = try Bench(.walker, isFull: false)
        func stall(_ seconds: Int) -> Stall? {
            Standing.stall(
                of: bench.node, at: Moment(instant: .zero + .seconds(seconds), unixSeconds: 1_800_000_000))
        }
        #expect(stall(29) == nil)
        let found = try #require(stall(30))
        #expect(found.seconds == 30 && found.cause.name == "no_peers")
        #expect(found.reason.hasPrefix("no peer of this network answers (IPv4: "))
        #expect(found.advice == "check the boot nodes, the UDP port and that the network file is the right one")
    }

    /// How it stands with those who have the section that is missing.
    @Test func theHoldersOfWhatIsMissingAreToldApart() throws {
        var bench = try Bench(.walker, isFull: false)
        func cause() -> StallReason? { Standing.missingSection(bench.node, Bench.anchor, at: bench.now) }
        func tell(_ served: [AnchorSections]) throws {
            let payload = StatePingPayload(role: .holder, radius: .max, head: nil, served: served)
            bench.node.state.holders.told(payload, by: try #require(Bench.info(1)), at: bench.now)
        }
        let search = "a search for more is about to begin"
        #expect(cause() == .noHolders(section: "0", Bench.anchor, elsewhere: 0, search: search))
        try tell([AnchorSections(anchor: Bench.anchor, runs: [0..<16])])
        #expect(cause() == .holdersSilent(section: "0", Bench.anchor, holders: 1))
        let task = WalkTask.sections([0], anchor: Bench.anchor, maxBytes: 1)
        bench.node.state.holders.ended(task, of: Bench.other, .busy(.seconds(1)), at: bench.now)
        #expect(cause() == .holdersBusy(section: "0", Bench.anchor, holders: 1))
        bench.node.state.holders.ended(task, of: Bench.other, .failed, at: bench.now)
        #expect(cause() == .holdersSilent(section: "0", Bench.anchor, holders: 1))
        _ = bench.node.state.holders.disbelieve(0, at: Bench.anchor, by: Bench.other, now: bench.now)
        #expect(
            cause() == .holdersLied(section: "0", Bench.anchor, disbelieved: 1, banned: 0, search: search))
        #expect(bench.node.state.peerCounts.charged == 1)
    }

    /// A ban says something of a section where the banned one said that it has it.
    @Test func bansOfOthersAreNoneOfTheSections() throws {
        var bench = try Bench(.walker, isFull: false)
        func cause() -> StallReason? { Standing.missingSection(bench.node, Bench.anchor, at: bench.now) }
        func ban(_ index: UInt64, whoHas section: Int) throws {
            let info = try #require(Bench.info(index))
            let served = [AnchorSections(anchor: Bench.anchor, runs: [section..<(section + 4)])]
            let payload = StatePingPayload(role: .holder, radius: .max, head: nil, served: served)
            bench.node.state.holders.told(payload, by: info, at: bench.now)
            let task = WalkTask.sections([section], anchor: Bench.anchor, maxBytes: 1)
            bench.node.state.holders.ended(task, of: info.id, .invalid, at: bench.now)
            for _ in 0..<2 { bench.node.overlay.judge(info.id, .lie, at: bench.now) }
            bench.node.state.holders.lost(info.id)
        }
        let search = "a search for more is about to begin"
        try ban(2, whoHas: 8)
        #expect(bench.node.overlay.bans.count == 1)
        #expect(cause() == .noHolders(section: "0", Bench.anchor, elsewhere: 0, search: search))
        try ban(3, whoHas: 0)
        #expect(cause() == .holdersLied(section: "0", Bench.anchor, disbelieved: 0, banned: 1, search: search))
        let worthless = WorthlessHolders(of: 0, in: bench.node.holders)
        #expect(worthless.count == 1 && worthless.epochs == [0])
    }

    /// Whoever holds all and hears of nobody does not follow.
    @Test func aNodeAloneDoesNotFollow() throws {
        let bench = try Bench(.holder)
        let progress = bench.node.progress(at: bench.moment)
        #expect(progress.phase != .following && progress.peers == 0)
        #expect(try Bench(.bridge).node.progress(at: bench.moment).phase == .replaying)
    }

    /// Each reason has a text and an advice of its own, and a name that no other has.
    @Test func everyReasonIsToldInWords() {
        let anchor = Anchor(epoch: 7, hash: .zero)
        let reasons: [(StallReason, String)] = [
            (.headersPruned(wanted: 5, lowest: 9), "no peer serves block 5's header; the lowest served is block 9's"),
            (
                .headersBehind(served: 8, newest: anchor, head: 60, hasChainPeers: true),
                "peers serve epoch 8, and the headers up to it are not here yet: the newest anchor here is epoch 7 "
                    + "(00000000), the newest attested block 60"
            ),
            (
                .headTooOld(age: 4_000, limit: 3_600, .nothingNewer),
                "the newest attested block was attested 4000 s ago, and the network's limit is 3600 s"
            ),
            (.storeFull, "the store is at its limit, and nothing is left that could be given up"),
            (
                .downloadLimited(bytesPerSecond: 100),
                "held back by --max-download-rate (100 B/s): nothing may be asked for now"
            ),
            (
                .notLedOn(section: "0x3", from: Anchor(epoch: 6, hash: .zero), to: anchor, holders: 2),
                "section 0x3 is held at epoch 6 (00000000), and none of its 2 reachable holders at epoch 7 (00000000) "
                    + "leads it on"
            ),
            (
                .holdersLied(section: "0x3", anchor, disbelieved: 1, banned: 2, search: "s"),
                "nobody is left who has section 0x3 at epoch 7 (00000000): 1 said so and had it not, 2 who said so "
                    + "are banned for false answers"
            ),
            (
                .holdersBusy(section: "0x3", anchor, holders: 4),
                "section 0x3 has 4 reachable holders at epoch 7 (00000000), and all are busy"
            ),
            (.codeMissing(count: 3), "3 codes are missing and no peer sent them"),
            (.blocksMissing(verified: 4, head: 9, lacking: nil), "block 4 of 9 is verified, and nothing newer came"),
            (
                .blockNotHad(block: 7, peers: 2, isRefused: false),
                "block 7 is needed next and did not come from any of 2 peers that keep blocks"
            ),
            (
                .blocksPruned(block: 7, lowest: 90, peers: 2),
                "block 7 is needed next, and the lowest that any of 2 peers keeps is block 90"
            ),
        ]
        for (reason, text) in reasons { #expect(reason.text == text && !reason.advice.isEmpty) }
        #expect(Set(reasons.map(\.0.name)).count == reasons.count)
    }
}
