import Chain
import Overlay
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import StateNetwork

/// Block diffs by stretches: who is offered what, and what is answered.
@Suite("Stretches of block diffs") struct StretchTests {
    private let point = StatePoint(number: 1, hash: .max)

    private func stretch(_ first: Int, _ last: Int) throws -> BlockDiffsKey {
        try #require(BlockDiffsKey(point: point, first: first, last: last))
    }

    /// What the bench answers to an offer of one key.
    private func code(_ bench: inout Bench, _ key: StateContentKey, from peer: Bytes32 = Bench.peer) -> AcceptCode? {
        bench.code(key.encoded, from: peer)
    }

    /// A gossip of a holder that knows one other, which covers the whole ring and is one block behind.
    private func gossip(_ holders: inout HolderDirectory, sections: [Int]) throws -> DiffGossip {
        let payload = StatePingPayload(role: .holder, radius: .max, head: Bench.genesis, served: [])
        holders.told(payload, by: try #require(Bench.info(1)), at: .zero)
        var gossip = DiffGossip(role: .holder, id: .zero, sectionDepth: 1, arc: 0..<16)
        for section in sections {
            let key = BlockDiffKey(point: point, section: section)
            gossip.remember(key, Bench.diffValue(section), bytes: 1)
            gossip.passOn(key, to: holders, except: nil, fanout: 6, at: .zero)
        }
        return gossip
    }

    private var directory: HolderDirectory { HolderDirectory(role: .holder, arc: Arc(around: 0, bits: 0, depth: 1)) }

    private func keys(_ offers: [(peer: Bytes32, items: [ContentItem])]) -> [[UInt8]] {
        offers.flatMap { $0.items.map(\.key) }
    }

    // MARK: Out

    @Test func whoDeclinesAStretchIsOfferedItsSectionsAtOnceAndFromThenOn() throws {
        var holders = directory
        var gossip = try gossip(&holders, sections: [9, 4, 6])
        let due = Instant.zero + StateNetworkLimits.gossipGather
        let whole = StateContentKey.blockDiffs(try stretch(4, 9)).encoded
        let offered = keys(gossip.takeOutgoing(for: holders, at: due))
        #expect(offered == [whole])
        gossip.declined([whole], by: Bench.other, holders, at: due)
        let apart = [4, 6, 9].map { StateContentKey.blockDiff(BlockDiffKey(point: point, section: $0)).encoded }
        #expect(gossip.deadline == due, "at once")
        let afterwards = keys(gossip.takeOutgoing(for: holders, at: due))
        #expect(afterwards == apart)
        // The next block's too.
        let next = BlockDiffKey(point: StatePoint(number: 2, hash: .max), section: 3)
        gossip.remember(next, Bench.diffValue(3), bytes: 1)
        gossip.passOn(next, to: holders, except: nil, fanout: 6, at: due)
        let later = due + StateNetworkLimits.gossipGather
        let alone = keys(gossip.takeOutgoing(for: holders, at: later))
        #expect(alone == [StateContentKey.blockDiff(next).encoded])
        // After a while it is asked again.
        let muchLater = due + StateNetworkLimits.formerTerm
        gossip.passOn(next, to: holders, except: nil, fanout: 6, at: muchLater)
        let again = keys(gossip.takeOutgoing(for: holders, at: muchLater + StateNetworkLimits.gossipGather))
        #expect(again.map(\.first) == [StateContentKey.Selector.blockDiffs.rawValue])
    }

    /// What a block changed in the accounts and in parts of a storage trie goes in two stretches. Who declines one of
    /// parts is offered those whose place is in its arc.
    @Test func eachTrieHasAStretchOfItsOwn() throws {
        var holders = directory
        var gossip = try gossip(&holders, sections: [4, 6])
        let owner = Bytes32(0x2000_0000_0000_0000, 0, 0, 0)
        let trie = StateTrie.storage(account: owner, placement: 1)
        for part in [12, 3] {
            let key = BlockDiffKey(trie: trie, point: point, section: part)
            let slot = FlatKey(account: owner, slot: Bytes32(UInt64(part) << 60, 0, 0, 0))
            let changes = [
                LeafChange(key: FlatKey(account: owner), value: [0xc0]), LeafChange(key: slot, value: [1]),
            ]
            gossip.remember(key, Bench.diffValue(part, changes: changes), bytes: 1)
            gossip.passOn(key, to: holders, except: nil, fanout: 6, at: .zero)
        }
        let due = Instant.zero + StateNetworkLimits.gossipGather
        let key = try #require(BlockDiffsKey(trie: trie, point: point, first: 3, last: 12))
        let parts = StateContentKey.blockDiffs(key).encoded
        let offered = keys(gossip.takeOutgoing(for: holders, at: due))
        #expect(offered == [StateContentKey.blockDiffs(try stretch(4, 6)).encoded, parts])
        let value = try #require(gossip.recentDiffs(key))
        #expect(try BlockDiffsValue(decoding: value).changes.count == 3, "the account once, and two slots")
        gossip.declined([parts], by: Bench.other, holders, at: due)
        let apart = [3, 12].map {
            StateContentKey.blockDiff(BlockDiffKey(trie: trie, point: point, section: $0)).encoded
        }
        let afterwards = keys(gossip.takeOutgoing(for: holders, at: due))
        #expect(afterwards == apart)
    }

    @Test func whoLeftAndCameBackIsAskedAgain() throws {
        var holders = directory
        var gossip = try gossip(&holders, sections: [4])
        let due = Instant.zero + StateNetworkLimits.gossipGather
        let first = keys(gossip.takeOutgoing(for: holders, at: due))
        gossip.declined(first, by: Bench.other, holders, at: due)
        gossip.lost(Bench.other)
        let nothing = keys(gossip.takeOutgoing(for: holders, at: due))
        #expect(nothing.isEmpty, "what is left for it went with it")
        let next = BlockDiffKey(point: point, section: 4)
        gossip.passOn(next, to: holders, except: nil, fanout: 6, at: due)
        let again = keys(gossip.takeOutgoing(for: holders, at: due + StateNetworkLimits.gossipGather))
        #expect(again == first)
    }

    @Test func formerPeersAreRememberedForTheirRecord() {
        var peers = FormerPeers()
        peers.add(.max, sequence: 3, at: .zero)
        #expect(peers.contains(.max, sequence: 3, at: .zero))
        #expect(!peers.contains(.max, sequence: 4, at: .zero), "a new record may be of a new version")
        #expect(!peers.contains(.max, sequence: 3, at: .zero + StateNetworkLimits.formerTerm))
        #expect(!peers.contains(.zero, sequence: 3, at: .zero))
        for number in 0..<UInt64(2 * StateNetworkLimits.formerPeers) {
            peers.add(Bytes32(0, 0, 0, number), sequence: nil, at: .zero)
        }
        #expect(peers.count == StateNetworkLimits.formerPeers)
    }

    @Test func aNodeOfTheFormerVersionOffersSectionsAndDeclinesStretches() throws {
        let gossip = DiffGossip(
            role: .holder, id: .zero, sectionDepth: 1, arc: 0..<16, knows: KnownContents(stretches: false))
        let key = StateContentKey.blockDiffs(try stretch(1, 2)).encoded
        #expect(throws: StateContentError.unknownContent(0x4a)) { try gossip.read(key) }
        #expect(throws: Never.self) { try gossip.read(StateContentKey.availability.encoded) }
    }

    @Test func aStretchIsServedWhereItBeginsAndEndsWithAChange() throws {
        var holders = directory
        let gossip = try gossip(&holders, sections: [4, 6, 9])
        let value = try #require(gossip.recentDiffs(try stretch(4, 9)))
        #expect(try BlockDiffsValue(decoding: value).changes.count == 3)
        let part = try #require(gossip.recentDiffs(try stretch(4, 6)))
        #expect(try BlockDiffsValue(decoding: part).changes.count == 2)
        let others = [try stretch(4, 8), try stretch(10, 12)].compactMap { gossip.recentDiffs($0) }
        #expect(others.isEmpty)
    }

    /// Who keeps the storage of few is offered nothing, and cannot tell what an answer lacks.
    @Test func whoKeepsLittleIsAnsweredOnceAllOfTheBlockIsVerified() throws {
        var holders = directory
        let gossip = try gossip(&holders, sections: [4, 6])
        var bench = try Bench(.holder)
        let wanted = try #require(BlockDiffsKey(point: point, first: 0, last: 15, keeping: .only([])))
        func answer(_ key: BlockDiffsKey) throws -> StateStatus? {
            let state = bench.node.state
            let reply = StateServer(role: .holder, depth: 1).reply(
                to: .blockDiffs(key), from: nil, state.holdings, state.ahead, gossip, bench.node.chain.attested)
            guard case .content(let value) = reply else { return nil }
            return try StateStatus(decoding: value)
        }
        let early = try answer(wanted)
        #expect(early == .notAtThisAnchor(served: [Bench.anchor]))
        let other = try answer(try stretch(4, 6))
        #expect(other == .data, "who keeps all sees by the next block what was not there yet")
        check(bench.node.state.holdings.verify(at: point, root: Bench.crown.root, isHead: true))
        let whole = try answer(wanted)
        #expect(whole == .data)
    }

    // MARK: In

    @Test func oneStretchOfABlockIsTakenAtATime() throws {
        var bench = try Bench(.holder)
        let first = code(&bench, .blockDiffs(try stretch(2, 9)))
        #expect(first == .accepted)
        let other = Bytes32(8, 8, 8, 8)
        let same = code(&bench, .blockDiffs(try stretch(2, 9)), from: other)
        let inner = code(&bench, .blockDiffs(try stretch(3, 4)), from: other)
        let section = code(&bench, .blockDiff(BlockDiffKey(point: point, section: 5)), from: other)
        #expect(same == .inProgress && inner == .inProgress && section == .inProgress)
        let longer = code(&bench, .blockDiffs(try stretch(2, 11)), from: other)
        #expect(longer == .accepted, "it has sections that the first has not")
        // It does not come: another may bring it.
        bench.node.state.handle(
            .broken(keys: [StateContentKey.blockDiffs(try stretch(2, 9)).encoded], from: Bench.peer),
            bench.node.chain.attested, at: bench.moment)
        bench.node.state.handle(
            .broken(keys: [StateContentKey.blockDiffs(try stretch(2, 11)).encoded], from: other),
            bench.node.chain.attested, at: bench.moment)
        let again = code(&bench, .blockDiffs(try stretch(2, 9)), from: other)
        #expect(again == .accepted)
    }

    @Test func whatIsOutsideTheArcIsSaidToBe() throws {
        var bench = try Bench(.holder)
        bench.node.state.holdings = Holdings(
            depth: 1, epochLength: 8, arc: 8..<16, records: (8..<16).map { Bench.record($0) }, layers: [], crowns: [])
        let outside = code(&bench, .blockDiffs(try stretch(2, 7)))
        let across = code(&bench, .blockDiffs(try stretch(2, 8)))
        #expect(outside == .outsideRadius && across == .accepted)
    }

    /// Code 1 is for those who do not know the key: the offerer would take this node for one of them.
    @Test func aStretchIsNeverDeclined() throws {
        var bench = try Bench(.bridge)
        let bridge = code(&bench, .blockDiffs(try stretch(2, 7)))
        #expect(bridge == .notVerifiable)
        let storage = try #require(
            BlockDiffsKey(trie: .storage(account: .zero, placement: 0), point: point, first: 1, last: 2))
        var holder = try Bench(.holder)
        let placed = code(&holder, .blockDiffs(storage))
        #expect(placed == .notVerifiable)
    }

    @Test func whatIsExpectedIsBoundedAndForgotten() throws {
        var expected = ExpectedDiffs()
        for number in 0..<(2 * StateNetworkLimits.expectedStretches) {
            expected.expect(try stretch(number, number), from: .max, at: .zero)
        }
        #expect(expected.count == StateNetworkLimits.expectedStretches)
        let later = Instant.zero + StateNetworkLimits.expectedWait
        #expect(expected.stretches(of: .accounts, at: point, .zero).count == StateNetworkLimits.expectedStretches)
        #expect(expected.stretches(of: .accounts, at: point, later).isEmpty)
        expected.expect(try stretch(1, 5), from: .max, at: later)
        #expect(expected.count == 1)
        // What came stands longer, until nothing that lacked in it can be on its way.
        expected.came(try stretch(1, 5), from: .max, at: later)
        let soon = later + StateNetworkLimits.expectedWait
        #expect(expected.stretches(of: .accounts, at: point, soon) == [1...5])
        #expect(expected.stretches(of: .accounts, at: StatePoint(number: 1, hash: .zero), soon).isEmpty)
        #expect(expected.stretches(of: .accounts, at: point, later + StateNetworkLimits.cameWait).isEmpty)
        let parts = StateTrie.storage(account: .max, placement: 1)
        #expect(expected.stretches(of: parts, at: point, soon).isEmpty)
        expected.ended(try stretch(1, 5), from: .zero)
        #expect(expected.count == 1, "another peer's")
        expected.ended(try stretch(1, 5), from: .max)
        #expect(expected.count == 0)
    }
}
