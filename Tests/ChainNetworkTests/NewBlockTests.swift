import Chain
import ChainLab
import ChainNetwork
import Primitives
import Testing

@Suite struct NewBlockTests {
    @Test func newBlocksArePassedOnToThoseBehind() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 20)
        let entries = made.published(headers)
        let server = try made.machine(Array(entries.prefix(10)))
        let ahead = try made.machine(entries)
        var cluster = Cluster(try made.machine(Array(entries.prefix(10))))
        for peer in 1...3 { cluster.add(UInt64(peer), server) }
        cluster.add(4, claim: ahead.localPayload) { _ in nil }
        cluster.settle(limit: .zero)
        let key = ChainContentKey.newBlock(headers[10].point).encoded
        #expect(cluster.client.wants(key))
        let value = NewBlockValue.encode(entries[10])
        cluster.offer(key, value, by: 2)
        cluster.settle(limit: .zero)
        #expect(cluster.client.head == headers[10].point && cluster.client.final == headers[5].point)
        #expect(Set(cluster.offers.map(\.peer)) == [Cluster.id(1), Cluster.id(3)])
        #expect(cluster.offers.allSatisfy { $0.key == key && $0.value == value })
        #expect(!cluster.client.wants(key))
        // An echo goes nowhere.
        cluster.offer(key, value, by: 3)
        cluster.settle(limit: .zero)
        #expect(cluster.offers.count == 2)
    }

    @Test func theFanoutIsBounded() throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 2))
        let server = try made.machine([entries[0]])
        var cluster = Cluster(try made.machine([entries[0]]))
        for peer in 1...30 { cluster.add(UInt64(peer), server) }
        cluster.client.handle(.produced(entries[1]), at: cluster.now)
        cluster.settle(limit: .zero)
        #expect(Set(cluster.offers.map(\.peer)).count == ChainNetworkLimits.pushFanout)
    }

    @Test func aGapIsFilledByAsking() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 40)
        let entries = made.published(headers)
        let server = try made.machine(entries)
        var cluster = Cluster(try made.machine(Array(entries.prefix(10))))
        let old = try made.machine(Array(entries.prefix(10)))
        // Its last ping is old, but it pushes a block from far above.
        cluster.add(1, claim: old.localPayload) { server.serve($0) }
        let key = ChainContentKey.newBlock(headers[39].point).encoded
        cluster.offer(key, NewBlockValue.encode(entries[39]), by: 1)
        cluster.settle()
        #expect(cluster.client.head == headers[39].point)
        #expect(cluster.persisted.map(\.header) == Array(headers[10...]))
    }

    /// A bridge that was met before it had anything: its first block says that it has begun, and the checkpoint's
    /// header, without which nothing can be fetched of the first epoch, is asked for at once.
    @Test(arguments: [1, 3])
    func whoHadNothingAndBringsABlockHasBegun(number: Int) throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 5))
        let empty = try ChainSync(configuration: made.configuration, seed: 4)
        let server = try made.machine(entries)
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 3))
        cluster.add(1, claim: empty.localPayload) { server.serve($0) }
        cluster.settle(limit: .zero)
        cluster.offer(
            ChainContentKey.newBlock(entries[number - 1].point).encoded, NewBlockValue.encode(entries[number - 1]),
            by: 1)
        cluster.settle(limit: .zero)
        #expect(cluster.client.attested.header(at: 0) == made.genesis)
        #expect(cluster.client.head.number >= UInt64(number))
    }

    @Test func aReorganisationAboveTheFinalBlockIsFollowed() throws {
        let made = try MadeChain()
        let common = try MadeChain.run(on: made.genesis, 30)
        let old = common + (try MadeChain.run(on: common[29], 3, salt: 1))
        let new = common + (try MadeChain.run(on: common[29], 6, salt: 2))
        let server = try made.machine(made.published(new))
        var cluster = Cluster(try made.machine(made.published(old)))
        #expect(cluster.client.head == old[32].point && cluster.client.final == old[27].point)
        cluster.add(1, server)
        cluster.settle()
        #expect(cluster.client.head == new[35].point && cluster.client.final == new[30].point)
        #expect(cluster.client.attested.header(at: 31) == new[30])
        #expect(cluster.penalised.isEmpty)
        #expect(cluster.persisted.map(\.header) == Array(new[30...]))
        #expect(cluster.log.contains { if case .headAdvanced(new[35].point, _) = $0 { true } else { false } })
    }

    @Test func aReorganisationIsAlsoFollowedWhereItComesPushed() throws {
        let made = try MadeChain()
        let common = try MadeChain.run(on: made.genesis, 30)
        let old = common + (try MadeChain.run(on: common[29], 3, salt: 1))
        let new = common + (try MadeChain.run(on: common[29], 6, salt: 2))
        let before = try made.machine(made.published(common))
        let server = try made.machine(made.published(new))
        var cluster = Cluster(try made.machine(made.published(old)))
        cluster.add(1, claim: before.localPayload) { server.serve($0) }
        let last = made.published(new)[35]
        cluster.offer(last, by: 1)
        cluster.settle()
        #expect(cluster.client.head == new[35].point)
        #expect(cluster.penalised.isEmpty)
    }

    @Test func twoFinalsStopTheMachine() throws {
        let made = try MadeChain()
        let a = try MadeChain.run(on: made.genesis, 20, salt: 1)
        let b = try MadeChain.run(on: made.genesis, 30, salt: 2)
        var cluster = Cluster(try made.machine(made.published(a)))
        cluster.add(1, try made.machine(made.published(b)))
        cluster.settle()
        let conflicts = cluster.log.compactMap { directive -> ChainError? in
            if case .conflict(let error) = directive { error } else { nil }
        }
        #expect(conflicts == [.conflictingFinals(a[14].point, b[24].point)])
        #expect(cluster.client.conflict == conflicts.first)
        #expect(cluster.client.head == a[19].point)
        let key = ChainContentKey.newBlock(b[29].point).encoded
        #expect(!cluster.client.wants(key))
    }

    @Test func aBridgeOfAnotherChainIsStopped() throws {
        let made = try MadeChain()
        var machine = try made.machine(made.published(try MadeChain.run(on: made.genesis, 20, salt: 1)))
        let other = try MadeChain.run(on: made.genesis, 20, salt: 2)
        machine.handle(.produced(CertifiedHeader(header: other[10])), at: .zero)
        #expect(machine.drain() == [.conflict(.belowFinal(number: 11))])
    }

    @Test func offersThatAreNoneAreHeldAgainstTheirSender() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 3)
        let entries = made.published(headers)
        var cluster = Cluster(try made.machine([entries[0]]))
        cluster.add(1, try made.machine([entries[0]]))
        let key = ChainContentKey.newBlock(headers[1].point).encoded
        func offer(_ key: [UInt8], _ value: [UInt8]) {
            cluster.offer(key, value, by: 1)
            cluster.settle(limit: .zero)
        }
        offer(key, NewBlockValue.encode(entries[2]))
        offer([0x51], [])
        offer(key, [])
        let foreign = try MadeChain(keys: 2)
        offer(key, NewBlockValue.encode(foreign.certified(headers[1], by: [1], final: nil)))
        #expect(
            cluster.penalised == [
                .notWhatWasAsked, .malformedKey, .unknownStatus(nil),
                .invalid(.certificate(.unknownSigner(foreign.keys[1].publicKey))),
            ])
        #expect(cluster.client.head == headers[0].point)
        // A header that no key speaks of is held, and neither kept on disk nor passed on.
        offer(key, NewBlockValue.encode(CertifiedHeader(header: headers[1])))
        #expect(cluster.client.head == headers[0].point && cluster.offers.isEmpty && cluster.persisted.isEmpty)
    }

    /// Two of three keys: each bridge signs for itself, and nodes bring the words together.
    @Test func wordsOfSeveralKeysMeet() throws {
        let made = try MadeChain(keys: 3, threshold: 2)
        let headers = try MadeChain.run(on: made.genesis, 12)
        let (first, second) = (made.published(headers, by: [0]), made.published(headers, by: [2]))
        let other = try made.machine([])
        var cluster = Cluster(try made.machine([]))
        cluster.add(1, other)
        cluster.add(2, other)
        for (a, b) in zip(first, second) {
            let key = ChainContentKey.newBlock(a.point).encoded
            cluster.offer(key, NewBlockValue.encode(a), by: 1)
            cluster.settle(limit: .zero)
            #expect(!cluster.client.attested.isAttested(a.point) && cluster.client.wants(key))
            #expect(cluster.offers.last?.peer == Cluster.id(2))
            cluster.offer(key, NewBlockValue.encode(b), by: 2)
            cluster.settle(limit: .zero)
            #expect(cluster.client.head == a.point)
        }
        #expect(cluster.client.final == headers[6].point)
        // A newcomer gets both words in one answer.
        var newcomer = Cluster(try ChainSync(configuration: made.configuration, seed: 4))
        newcomer.add(1, cluster.client)
        newcomer.settle()
        #expect(newcomer.client.head == headers[11].point && newcomer.client.final == headers[6].point)
        // A head proven only together with a block above it is proven to a newcomer too.
        let more = try MadeChain.run(on: headers[11], 2)
        cluster.offer(made.certified(more[0], by: [0], final: nil), by: 1)
        cluster.offer(made.certified(more[1], by: [2], final: nil), by: 1)
        #expect(cluster.client.head == more[0].point)
        var late = Cluster(try ChainSync(configuration: made.configuration, seed: 5))
        late.add(1, cluster.client)
        late.settle()
        #expect(late.client.head == more[0].point && late.penalised.isEmpty)
    }
}

@Suite("Another view is no lie") struct OtherViewTests {
    /// Attested once, offered after a rival is final here: its sender has not heard of that.
    @Test func aBlockOfTheLineThatLostCostsNothing() throws {
        let made = try MadeChain()
        let common = try MadeChain.run(on: made.genesis, 3)
        let lost = common + (try MadeChain.run(on: common[2], 4, salt: 1))
        let won = common + (try MadeChain.run(on: common[2], 12, salt: 2))
        let behind = try made.machine(made.published(common) + made.published(lost)[3...].map { $0 })
        var cluster = Cluster(try made.machine(made.published(won)))
        #expect(cluster.client.final.number > 5)
        cluster.add(1, behind)
        for entry in made.published(lost)[3...] {
            let key = ChainContentKey.newBlock(entry.point).encoded
            cluster.offer(key, NewBlockValue.encode(entry), by: 1)
        }
        cluster.settle(limit: .zero)
        #expect(cluster.penalised == [] && cluster.client.conflict == nil)
        #expect(cluster.client.head == won[14].point)
    }

    @Test func aStatusOfALaterVersionCostsNothing() throws {
        let made = try MadeChain()
        let server = try made.machine(made.published(try MadeChain.run(on: made.genesis, 4)))
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 3))
        cluster.add(1, claim: server.localPayload) { _ in [9, 1, 2, 3] }
        cluster.settle(limit: .seconds(20))
        #expect(cluster.penalised == [])
        cluster.add(2, server)
        cluster.settle()
        #expect(cluster.client.head == server.head)
    }

    /// A block above the checkpoint comes before the checkpoint's header was asked for.
    @Test(arguments: [1, 12])
    func theCheckpointsHeaderIsAskedForLater(heard: Int) throws {
        let made = try MadeChain(epochLength: 8)
        let headers = try MadeChain.run(on: made.genesis, 20)
        let entries = made.published(headers)
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 3))
        for entry in entries.prefix(heard) {
            let key = ChainContentKey.newBlock(entry.point).encoded
            cluster.offer(key, NewBlockValue.encode(entry), by: 1)
        }
        cluster.settle(limit: .zero)
        #expect(cluster.client.head == headers[heard - 1].point && cluster.client.attested.anchor(epoch: 0) == nil)
        cluster.add(1, try made.machine(entries.prefix(heard).map { $0 }))
        cluster.settle(limit: .zero)
        #expect(cluster.client.attested.anchor(epoch: 0) == Anchor(epoch: 0, hash: made.genesis.hash))
        #expect(cluster.client.attested.header(at: 0) == made.genesis)
        let told = cluster.log.contains(.finalAdvanced([Anchor(epoch: 0, hash: made.genesis.hash)]))
        #expect(told && cluster.persisted.contains { $0.header == made.genesis })
    }

    /// Who says that it does not have it is not asked again; one that is busy first is.
    @Test func theCheckpointsHeaderIsAskedForUntilSomebodyHasIt() throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 3))
        var client = try ChainSync(configuration: made.configuration, seed: 3)
        let key = ChainContentKey.newBlock(entries[0].point).encoded
        client.handle(.offered(key: key, value: NewBlockValue.encode(entries[0]), by: Cluster.id(1)), at: .zero)
        var cluster = Cluster(client)
        let server = try made.machine([entries[0]])
        let nothing = HeadersValue.notServed(lowest: 1, highest: 1).encoded()
        for peer in UInt64(1)...12 { cluster.add(peer, claim: server.localPayload) { _ in nothing } }
        cluster.settle(limit: .seconds(300))
        #expect(cluster.asked.values.allSatisfy { $0 == 1 } && cluster.penalised.isEmpty)
        #expect(cluster.client.attested.anchor(epoch: 0) == nil)
        // The cluster asks twice for each answer: whether there is one, and for it.
        var calls = 0
        cluster.add(20, claim: server.localPayload) { key in
            calls += 1
            return calls <= 4 ? [2, 1, 0] : server.serve(key)
        }
        cluster.settle(limit: .seconds(300))
        #expect(cluster.client.attested.anchor(epoch: 0) != nil && calls > 4, "busy at first")
    }

    /// Two keys are needed: a block that one has spoken for is not attested, and not made up either.
    @Test func oneWordOfTwoIsAWord() throws {
        let made = try MadeChain(keys: 3, threshold: 2)
        let foreign = try MadeChain(keys: 4, threshold: 2)
        let header = try MadeChain.run(on: made.genesis, 1)[0]
        let machine = try made.machine([])
        let one = made.certified(header, by: [1], final: nil)
        #expect(machine.attested.isSpokenFor(one) && !machine.attested.isVouchedFor(one))
        #expect(machine.attested.isVouchedFor(made.certified(header, by: [1, 2], final: nil)))
        #expect(!machine.attested.isSpokenFor(CertifiedHeader(header: header)))
        #expect(!machine.attested.isSpokenFor(foreign.certified(header, by: [3], final: nil)))
        let other = try MadeChain.run(on: made.genesis, 1, salt: 4)[0]
        #expect(!machine.attested.isSpokenFor(CertifiedHeader(header: other, certificate: one.certificate)))
    }

    /// Three keys, two of them needed: old words of one, said again in turn, are no news.
    @Test func oldWordsAreNotPassedOnAgain() throws {
        let made = try MadeChain(keys: 3, threshold: 2)
        let header = try MadeChain.run(on: made.genesis, 1)[0]
        let context = ClaimContext(made.configuration)
        func word(_ second: UInt64) -> [UInt8] {
            let claim = Claim(kind: .head, point: header.point, unixSeconds: header.timestamp + second)
            let certificate = Certificate([made.keys[0].sign(claim, in: context)])
            return NewBlockValue.encode(CertifiedHeader(header: header, certificate: certificate))
        }
        let other = try made.machine([])
        var cluster = Cluster(try made.machine([]))
        for peer in UInt64(1)...8 { cluster.add(peer, other) }
        let key = ChainContentKey.newBlock(header.point).encoded
        for round in 0..<100 {
            cluster.offer(key, word(UInt64(round % 2)), by: 1)
            cluster.settle(limit: .zero)
        }
        // The first word and the one that is newer, to seven others each.
        #expect(cluster.offers.count == 14)
    }
}
