import Chain
import Discovery
import MerklePatricia
import Primitives
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import StateNetwork

/// One node without a world: events are given by hand, directives are looked at.
struct Bench {
    static let genesis = StatePoint(number: 0, hash: Bytes32(0, 0, 0, 100))
    static let anchor = Anchor(epoch: 0, hash: genesis.hash)
    /// Ids of two others.
    static let peer = id(0), other = id(1)

    /// A node record, and what a table would say of its owner.
    static func info(_ index: UInt64) -> PeerInfo? {
        var entropy = Entropy(seed: Bytes32(0, 0, 7, index))
        let endpoint = Endpoint(ipv4: (10, 0, 1, UInt8(truncatingIfNeeded: index)), port: 9_009)
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: endpoint)
        guard let record = try? fields.signed(by: IdentityKey(from: &entropy)) else { return nil }
        return PeerInfo(
            record: record, address: NodeAddress(id: record.id, endpoint: endpoint), radius: .max, capabilities: [],
            clientInfo: [], lastExtension: nil, standing: PeerStanding(), isKept: false)
    }

    private static func id(_ index: UInt64) -> Bytes32 { info(index)?.id ?? .zero }

    var node: Node
    var now = Instant(microseconds: 1_000_000)

    var moment: Moment { Moment(instant: now, unixSeconds: 1_800_000_000) }

    static func subtree(_ section: Int) -> Subtree {
        .leaf(key: Bytes32(UInt64(section) << 60, 0, 0, 1), value: [UInt8](repeating: 1, count: 40))
    }

    static let crown = Crown(sections: (0..<16).map { subtree($0) }, depth: 1)

    static func record(_ section: Int) -> SectionRecord {
        SectionRecord(
            section: Section(depth: 1, index: section), working: genesis, coverage: .complete(subtree(section)))
    }

    /// The secret of the bridge's key (0) and those of the other keys of its network.
    static func seed(_ index: Int) -> [UInt8] { [UInt8](repeating: UInt8(7 + index), count: 32) }

    static func attestingKey(_ index: Int) throws -> AttestingKey {
        try #require(Bytes32(seed(index)).flatMap { AttestingKey(seed: $0) })
    }

    static func configuration(_ role: Role, depth: Int = 1, threshold: Int = 1) throws -> NodeConfiguration {
        let network = try NetworkConfiguration(
            name: "bench", chainID: 7, genesisHash: genesis.hash, checkpoint: genesis, epochLength: 8,
            sectionDepth: depth,
            rule: NetworkConfiguration.Rule(
                keys: try (0..<threshold).map { try attestingKey($0).publicKey }, threshold: threshold,
                maxAgeSeconds: 3_600))
        var entropy = Entropy(seed: Bytes32(0, 0, 0, 5))
        var configuration = NodeConfiguration(
            network: network, role: role, key: IdentityKey(from: &entropy), clientInfo: "carousel/bench")
        configuration.endpoint = Endpoint(ipv4: (10, 0, 0, 1), port: 9_009)
        configuration.attestingSeeds = role == .bridge ? [seed(0)] : []
        return configuration
    }

    /// Holds the whole ring at genesis where `isFull`.
    init(_ role: Role, isFull: Bool = true, threshold: Int = 1) throws {
        var stored = StoredState()
        if isFull {
            stored.held.records = (0..<16).map { Bench.record($0) }
            stored.held.crowns = [(Bench.anchor, Bench.crown)]
        }
        if role == .bridge { stored.held.replayedHead = isFull ? Bench.genesis : nil }
        node = try Node(
            configuration: try Bench.configuration(role, threshold: threshold), stored: stored,
            entropy: Entropy(seed: Bytes32(0, 0, 0, 9)), at: Moment(instant: .zero, unixSeconds: 1_800_000_000))
        meet(.holder, 0)
    }

    /// A peer says that it plays a role and covers the whole ring.
    mutating func meet(_ role: Role, _ index: UInt64 = 1) {
        guard let info = Bench.info(index) else { return }
        let payload = StatePingPayload(role: role, radius: .max, head: Bench.genesis, served: [])
        node.state.holders.told(payload, by: info, at: .zero)
    }

    mutating func handle(_ event: Node.Event) -> [Node.Directive] {
        node.handle(event, at: moment)
        return node.drain()
    }

    /// Something happens to the state network alone; what it wants.
    mutating func tell(_ event: StateSync.Event) -> [StateSync.Directive] {
        node.state.handle(event, node.chain, at: moment)
        return node.state.drain()
    }

    /// The codes that an offer of these keys gets, and the bytes that are promised for it.
    mutating func offer(_ keys: [[UInt8]], from peer: Bytes32 = Bench.peer) -> (codes: [AcceptCode], limit: Int) {
        for case .decide(_, let codes, let limit) in tell(
            .offered(keys: keys, by: peer, Overlay.OfferToken(value: 1)))
        {
            return (codes, limit)
        }
        return ([], 0)
    }

    /// The code that an offer of one key gets.
    mutating func code(_ key: [UInt8], from peer: Bytes32 = Bench.peer) -> AcceptCode? { offer([key], from: peer).codes.first }

    var book: SectionBook { node.state.holdings.book }

    /// A job whose result is made up by the test.
    static func someJob() throws -> StateJob {
        .serveCodes(ServeCodes(key: try #require(CodesKey(near: .zero, hashes: [.max]))))
    }

    static func block(_ number: UInt64) throws -> ReplayedBlock {
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: genesis.hash, stateRoot: crown.root, number: number, timestamp: 1_000))
        return ReplayedBlock(header: header, changes: [])
    }

    static func diff(_ section: Int) -> PendingDiff {
        let value = BlockDiffValue(
            header: [], certificate: [], sectionHashBefore: subtree(section).hash(at: 1), changes: [], codes: [],
            pathProof: [])
        return PendingDiff(
            key: BlockDiffKey(point: StatePoint(number: 1, hash: .max), section: section), value: value,
            encoded: [0], sender: peer, receivedAt: .zero, isVouched: true)
    }

    static func layer(_ section: Int) -> BlockLayer {
        let hash = subtree(section).hash(at: 1)
        let place = Section(depth: 1, index: section)
        return BlockLayer(
            section: place, point: StatePoint(number: 1, hash: .max), parent: genesis, sectionHashBefore: hash,
            sectionHashAfter: hash, update: .unchanged(place, subtree: subtree(section)), pathProof: [])
    }
}

extension PeerInfo {
    /// The same with what its last PING of the state network said.
    func saying(_ payload: [UInt8]) -> PeerInfo {
        PeerInfo(
            record: record, address: address, radius: radius, capabilities: [StatePingPayload.type], clientInfo: [],
            lastExtension: PeerExtension(
                type: StatePingPayload.type, payload: payload, receivedAt: Instant(microseconds: 5)),
            standing: standing, isKept: false)
    }
}

@Suite("Configuration") struct ConfigurationTests {
    private func arc(_ exponent: Int, depth: Int, _ word: UInt64) throws -> Range<Int> {
        let arc = Arc(of: Bytes32(word, 1, 2, 3), radiusExponent: exponent, depth: depth)
        #expect(arc == Arc(of: Bytes32(word, 1, 2, 3), radius: .mask(bits: min(exponent, 256)), depth: depth))
        return arc.sections
    }

    @Test func arcsAreAlignedStretchesRoundTheID() throws {
        let id: UInt64 = 0xabcd_ef00_0000_0000
        #expect(try arc(256, depth: 1, id) == 0..<16)
        #expect(try arc(300, depth: 1, id) == 0..<16)
        #expect(try arc(255, depth: 1, id) == 8..<16)
        #expect(try arc(254, depth: 1, id) == 8..<12)
        #expect(try arc(252, depth: 1, id) == 10..<11)
        #expect(try arc(10, depth: 1, id) == 10..<11, "never less than a section")
        #expect(try arc(0, depth: 3, id) == 0xabc..<0xabd)
        #expect(try arc(250, depth: 3, id) == 0xa80..<0xac0)
        #expect(try arc(250, depth: 4, .max) == 0xfc00..<0x1_0000)
        #expect(try arc(250, depth: 4, 0) == 0..<0x400)
    }
}

@Suite("What a node gives back") struct GiveBackTests {
    /// An operation that is under way, with the sections it has locked.
    private struct UnderWay {
        let purpose: Operation.Purpose
        let stage: Operation.Stage
        var sections: [Int] = []
    }

    private static func ask(_ task: WalkTask, _ stage: Operation.Stage) -> UnderWay {
        UnderWay(purpose: .ask(task, key: .availability), stage: stage, sections: task.sections)
    }

    /// All that a node can have under way, at every stage in which it waits for the store or for a job.
    private func everything() throws -> [UnderWay] {
        let range = WalkTask.range(
            section: 2, anchor: Bench.anchor, origin: Cursor(account: .zero), limit: Cursor(account: .max), maxBytes: 1)
        let diffs = WalkTask.diffs(sections: [2, 5], from: Bench.anchor, to: .block(Bench.genesis))
        let taken = RangeTaken(
            record: Bench.record(2), batch: WriteBatch(), wantedCodes: [], leaves: 1, isCarried: false)
        let checked = CheckedDiff(layer: Bench.layer(3), batch: WriteBatch(), codeHashes: [], wantedCodes: [])
        let folded = SectionFolded(record: Bench.record(4), batch: WriteBatch(), wantedCodes: [])
        return [
            UnderWay(purpose: .serve(Overlay.ContentToken(value: 1)), stage: .checking),
            Self.ask(range, .checking), Self.ask(range, .writing(.range(taken))),
            Self.ask(diffs, .checking), Self.ask(diffs, .writing(.diffs(DiffsTaken(), goal: Bench.genesis))),
            Self.ask(.carry(section: 6, from: Bench.anchor, to: Bench.anchor), .checking),
            UnderWay(purpose: .blockDiff(Bench.diff(3)), stage: .checking, sections: [3]),
            UnderWay(purpose: .blockDiff(Bench.diff(3)), stage: .writing(.layer(checked)), sections: [3]),
            UnderWay(purpose: .fold, stage: .checking, sections: [4]),
            UnderWay(purpose: .fold, stage: .writing(.fold(folded)), sections: [4]),
            UnderWay(purpose: .drop, stage: .writing(.drop), sections: [4]),
            Self.ask(.codes([.max], section: 1), .writing(.codes([]))),
            Self.ask(.crown(Bench.anchor), .checking),
            UnderWay(purpose: .crown(Bench.anchor), stage: .writing(.crown(Bench.anchor, Bench.crown))),
            UnderWay(purpose: .note, stage: .writing(.nothing)),
        ]
    }

    /// Begins it, and has the store refuse its transaction, or the job come back with another one's result.
    private func outcome(
        _ operation: UnderWay, in role: Role = .holder, begin: (inout Bench) -> Void = { _ in }
    ) throws -> (Bench, [Node.Directive]) {
        var bench = try Bench(role)
        _ = bench.handle(.tick)
        let before = bench.node.state.operations.count
        begin(&bench)
        check(bench.node.state.holdings.book.lock(operation.sections))
        let id = bench.node.state.operations.begin(
            operation.purpose, stage: operation.stage, sections: operation.sections, peer: Bench.peer, at: bench.now)
        bench.node.commit(WriteBatch(), for: .state(id))
        guard case .commit(let commit, _)? = bench.node.drain().last else {
            Issue.record("no transaction left")
            return (bench, [])
        }
        let directives = bench.handle(.commitFailed(commit, .full))
        #expect(bench.node.commits[commit] == nil && bench.node.state.operations[id] == nil)
        #expect(bench.node.state.operations.count == before)
        return (bench, directives)
    }

    /// Every lock is free again and the one who runs the node is told why.
    private func expectAllFree(_ result: (Bench, [Node.Directive]), _ comment: Comment) {
        let locked = (0..<16).filter { result.0.book.isLocked($0) }
        #expect(locked == [], comment)
        let operations = result.0.node.state.operations
        #expect(operations.servingCount == 0 && operations.askCount == 0, comment)
        #expect(operations.load(of: Bench.peer) == 0, comment)
        let told = result.1.contains {
            if case .report(.failed(let text)) = $0 { text.contains("the store is full") } else { false }
        }
        #expect(told, comment)
    }

    @Test func aRefusedTransactionFreesWhatItHeld() throws {
        for operation in try everything() { expectAllFree(try outcome(operation), "\(operation.purpose)") }
    }

    @Test func aBridgeTriesARefusedBlockAgain() throws {
        let block = try Bench.block(1)
        let word = Attestation(certified: CertifiedHeader(header: block.header), final: nil)
        let stages = [Operation.Stage.checking, .writing(.block(ReplayTaken(crown: Bench.crown), word))]
        for stage in stages {
            let operation = UnderWay(purpose: .replay(block), stage: stage)
            var (bench, directives) = try outcome(operation, in: .bridge) { bench in
                bench.node.state.replayer?.give(block)
                bench.node.state.replayer?.begin()
                check(bench.node.state.holdings.book.lockAll())
            }
            expectAllFree((bench, directives), "\(stage)")
            #expect(bench.node.replayBacklog == 1)
            #expect(bench.node.nextDeadline(at: bench.moment) <= bench.now + StateNetworkLimits.storeRetry)
            bench.now = bench.now + StateNetworkLimits.storeRetry
            directives = bench.handle(.tick)
            let again = directives.contains { if case .run(_, .replay) = $0 { true } else { false } }
            #expect(again && bench.node.replayBacklog == 1)
            #expect(bench.book.isLocked(0))
        }
    }

    @Test func aBlockOutOfOrderIsNamedAndAnOldOneIsPassedOver() throws {
        var bench = try Bench(.bridge)
        let begun = bench.handle(.block(try Bench.block(0))).contains { if case .run = $0 { true } else { false } }
        #expect(!begun)
        #expect(bench.node.replayBacklog == 0)
        let told = bench.handle(.block(try Bench.block(3))).compactMap { directive -> String? in
            if case .report(.failed(let text)) = directive { text } else { nil }
        }
        #expect(told == ["block 3 was given where 1 is next: the chain's files must leave none out"])
        #expect(bench.node.replayBacklog == 0 && !bench.book.isLocked(0))
    }

    @Test func aResultOfAnotherKindGivesBackToo() throws {
        for operation in try everything() {
            guard case .checking = operation.stage, !operation.sections.isEmpty else { continue }
            var bench = try Bench(.holder)
            check(bench.node.state.holdings.book.lock(operation.sections))
            let id = bench.node.state.operations.begin(
                operation.purpose, stage: .checking, sections: operation.sections, peer: Bench.peer, at: bench.now)
            bench.node.run(try Bench.someJob(), for: .state(id))
            guard case .run(let job, _)? = bench.node.drain().last else {
                Issue.record("no job left")
                return
            }
            _ = bench.handle(.jobFinished(job, .served([0])))
            #expect(operation.sections.allSatisfy { !bench.book.isLocked($0) } && bench.node.jobs.isEmpty)
            _ = bench.handle(.jobFinished(job, .served([0])))
            _ = bench.handle(.committed(CommitID(value: 999)))
            #expect(bench.node.jobs.isEmpty, "what nobody waits for changes nothing")
        }
    }

    @Test func aLieFreesItsSectionAndIsCounted() throws {
        var bench = try Bench(.holder)
        check(bench.node.state.holdings.book.lock([3]))
        let id = bench.node.state.operations.begin(
            .blockDiff(Bench.diff(3)), stage: .checking, sections: [3], peer: Bench.peer, at: bench.now)
        bench.node.run(try Bench.someJob(), for: .state(id))
        guard case .run(let job, _)? = bench.node.drain().last else {
            Issue.record("no job left")
            return
        }
        _ = bench.handle(.jobFinished(job, .blockDiff(.failure(.lie("hash")))))
        #expect(bench.node.totals.invalidAnswers == 1)
        #expect(!bench.book.isLocked(3) && bench.book.held(3)?.layers == [])
    }
}

@Suite("Roles") struct RoleTests {
    private let key = StateContentKey.blockDiff(
        BlockDiffKey(point: StatePoint(number: 1, hash: .max), section: 3)).encoded

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

@Suite("What the network may send") struct HostileInputTests {
    /// Valid messages of every kind.
    private func keys() throws -> [[UInt8]] {
        let point = StatePoint(number: 8, hash: .max)
        let range = try #require(
            RangeKey(anchor: Bench.anchor, origin: Cursor(account: .zero), limit: Cursor(account: .max), maxBytes: 1))
        let diffs = try #require(
            DiffsKey(from: Bench.genesis, to: point, sections: [1, 5], maxBytes: 1_000, withProof: true))
        let codes = try #require(CodesKey(near: .zero, hashes: [.max, .zero]))
        return [
            .range(range), .diffs(diffs), .codes(codes), .blockDiff(BlockDiffKey(point: point, section: 3)),
            .crown(Bench.anchor), .availability,
        ].map { (key: StateContentKey) in key.encoded }
    }

    private func values() throws -> [[UInt8]] {
        let header = try Bench.block(1).header
        let value = BlockDiffValue(
            header: header.rlp, certificate: [], sectionHashBefore: .zero,
            changes: [LeafChange(key: FlatKey(account: Bytes32(3 << 60, 0, 0, 1)), value: nil)], codes: [[1]],
            pathProof: try Bench.crown.proofNodes(forSection: 3))
        return [try #require(value.encoded), CrownValue.serve(Bench.crown)]
    }

    private func mutated(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
            case 2: bytes.removeSubrange(place...)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
            default: for index in place..<min(place + 8, bytes.count) { bytes[index] = 0xff }
            }
        }
        return bytes
    }

    @Test func noKeyOrItemTrapsOrIsBelieved() throws {
        var generator = SeededGenerator(seed: 4_711)
        var bench = try Bench(.holder)
        let (keys, values) = (try keys(), try values())
        for round in 0..<4_000 {
            let key = mutated(keys[round % keys.count], &generator)
            _ = bench.code(key)
            _ = bench.tell(.asked(key: key, by: Bench.peer, Overlay.ContentToken(value: 1)))
            let itemKey = round.isMultiple(of: 2) ? keys[3 + round % 4 / 2] : key
            let item = ContentItem(key: itemKey, value: mutated(values[round % values.count], &generator))
            _ = bench.tell(.received([item], from: Bench.peer))
            _ = bench.handle(.datagram(mutated(key, &generator), from: Endpoint(ipv4: (10, 0, 0, 2), port: 1)))
        }
        #expect(bench.node.totals.invalidAnswers > 1_000, "items that do not hold are counted")
        #expect(bench.node.state.pending.room.bytes == 0, "a diff of another block than its key's is not queued")
        #expect((0..<16).allSatisfy { bench.book.held($0)?.layers == [] })
        #expect(bench.node.state.holdings.crowns.count == 1)
        #expect(bench.node.state.gossip.expected.count <= StateNetworkLimits.expectedOffers)
    }

    @Test func noPingPayloadTraps() throws {
        var generator = SeededGenerator(seed: 4_712)
        let sections = AnchorSections(anchor: Bench.anchor, runs: [0..<3, 7..<16])
        let payload = StatePingPayload(role: .holder, radius: .max, head: Bench.genesis, served: [sections])
        #expect(try StatePingPayload(decoding: payload.encoded) == payload)
        var refused = 0
        for _ in 0..<4_000 {
            do throws(StateContentError) {
                let read = try StatePingPayload(decoding: mutated(payload.encoded, &generator))
                #expect(read.served.allSatisfy { $0.runs.allSatisfy { !$0.isEmpty && $0.upperBound <= 65_536 } })
            } catch {
                refused += 1
            }
        }
        #expect(refused > 500)
    }

    @Test func queuesAreBounded() {
        var expected = ExpectedOffers()
        for number in 0..<(StateNetworkLimits.expectedOffers + 100) {
            expected.expect([UInt8(number & 255), UInt8(number >> 8 & 255)], from: Bench.peer, at: .zero)
        }
        #expect(expected.count == StateNetworkLimits.expectedOffers)
        #expect(expected.isExpected([0, 0], at: .zero))
        let later = Instant.zero + StateNetworkLimits.expectedWait
        #expect(!expected.isExpected([0, 0], at: later))
        expected.expect([1, 2, 3], from: Bench.peer, at: later)
        #expect(expected.count == 1 && expected.isExpected([1, 2, 3], at: later))
        expected.expect([1, 2, 3], from: .max, at: later)
        #expect(expected.isExpected([1, 2, 3], from: 2, at: later))
        expected.ended([1, 2, 3], from: Bench.peer)
        #expect(expected.isExpected([1, 2, 3], at: later) && !expected.isExpected([1, 2, 3], from: 2, at: later))
        expected.ended([1, 2, 3], from: .max)
        #expect(expected.count == 0)
    }

    @Test func keysForOnePeerAreGatheredAndTravelTogether() throws {
        var gossip = DiffGossip(role: .holder, id: .zero, sectionDepth: 1, arc: 0..<16)
        var holders = HolderDirectory(role: .holder, arc: Arc(around: 0, bits: 0, depth: 1))
        let payload = StatePingPayload(role: .holder, radius: .max, head: Bench.genesis, served: [])
        holders.told(payload, by: try #require(Bench.info(1)), at: .zero)
        let point = StatePoint(number: 1, hash: .max)
        for section in [1, 2] {
            let key = BlockDiffKey(point: point, section: section)
            gossip.remember(key, [UInt8(section)])
            gossip.passOn(
                key, to: holders, except: nil, fanout: 6, at: .zero + .milliseconds(section == 1 ? 0 : 5))
        }
        let due = Instant.zero + StateNetworkLimits.gossipGather
        #expect(gossip.deadline == due, "the first key sets the time")
        let early = gossip.takeOutgoing(at: .zero)
        #expect(early.isEmpty)
        let offers = gossip.takeOutgoing(at: due)
        #expect(offers.map(\.peer) == [Bench.other] && offers.first?.items.map(\.value) == [[1], [2]])
        let late = gossip.takeOutgoing(at: due)
        #expect(late.isEmpty && gossip.deadline == nil)
    }
}

/// `#expect` for conditions that change what they ask: the macro cannot look inside those.
private func check(
    _ condition: Bool, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(condition, comment, sourceLocation: sourceLocation)
}
