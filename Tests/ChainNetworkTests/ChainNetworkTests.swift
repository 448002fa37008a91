import Chain
import ChainLab
import Primitives
import Testing

@testable import ChainNetwork

@Suite struct ChainSyncTests {
    // MARK: The walk

    @Test func aChainIsWalkedFromTheCheckpointUpward() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 950)
        let server = try made.machine(made.published(headers))
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        for peer in 1...4 { cluster.add(UInt64(peer), server) }
        cluster.settle()
        #expect(cluster.client.head == headers[949].point && cluster.client.final == headers[944].point)
        #expect(cluster.persisted.map(\.header) == [made.genesis] + headers)
        #expect(cluster.penalised.isEmpty && cluster.now == .zero)
        #expect(cluster.asked.count == 4 && cluster.mostOpen >= 4)
        #expect(cluster.asked.values.reduce(0, +) == 10)
        let anchors = cluster.log.flatMap { directive -> [Anchor] in
            if case .finalAdvanced(let anchors) = directive { anchors } else { [] }
        }
        #expect(anchors.map(\.epoch) == Array(0...29))
        // A client that has synced serves what it has, with what proves it.
        var second = Cluster(try ChainSync(configuration: made.configuration, seed: 8))
        second.add(1, cluster.client)
        second.settle()
        #expect(second.client.head == headers[949].point)
        // And its store brings it back to where it was.
        let restored = try ChainSync(configuration: made.configuration, restoring: second.persisted, seed: 9)
        #expect(restored.head == second.client.head && restored.final == second.client.final)
        #expect(restored.localPayload == second.client.localPayload)
    }

    /// Nodes that joined after the checkpoint have not its header; those started again restore the same. A client that
    /// was awake before it met the first of them asks for what comes after it.
    @Test func aFreshClientNeedsNobodyWhoHasTheCheckpointsHeader() throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 400))
        let holder = try ChainSync(configuration: made.configuration, restoring: entries, seed: 1)
        #expect(holder.head == entries[399].point && holder.serve(request(from: 0)).first == 1)
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        cluster.client.advance(to: Instant(microseconds: 1))
        for peer in 1...2 { cluster.add(UInt64(peer), holder) }
        cluster.settle()
        #expect(cluster.client.head == entries[399].point && cluster.penalised.isEmpty)
        #expect(cluster.now == .zero, "nothing was waited for")
    }

    /// A claim to have the checkpoint's header, never made good, holds a walk up for no longer than two requests.
    @Test func aPeerThatOnlySaysItHasTheCheckpointsHeaderHoldsNobodyUp() throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 400))
        let holder = try ChainSync(configuration: made.configuration, restoring: entries, seed: 1)
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        let boast = ChainPingPayload(
            genesisHash: made.genesis.hash, lowest: 0, highest: 10_000, headHash: made.genesis.hash, certified: 10_000)
        cluster.add(1, claim: boast.encoded) { _ in nil }
        cluster.add(2, holder)
        cluster.settle(limit: .seconds(70))
        #expect(cluster.client.head == entries[399].point)
    }

    private func request(from number: UInt64) -> [UInt8] {
        HeadersKey(start: .number(number), count: 1).map { ChainContentKey.headers($0).encoded } ?? []
    }

    @Test func theSameSeedGivesTheSameDirectives() throws {
        let made = try MadeChain()
        let server = try made.machine(made.published(try MadeChain.run(on: made.genesis, 500)))
        func run(_ seed: UInt64) throws -> [Bytes32: Int] {
            var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: seed))
            for peer in 1...6 { cluster.add(UInt64(peer), server) }
            cluster.settle()
            return cluster.asked
        }
        #expect(try run(3) == run(3))
    }

    @Test func peersThatDoNotAnswerAreReplaced() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 450)
        let server = try made.machine(made.published(headers))
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        cluster.add(1, claim: server.localPayload) { _ in nil }
        cluster.add(2, claim: server.localPayload) { _ in [2, 3, 0] }
        cluster.add(3, server)
        cluster.settle()
        #expect(cluster.client.head == headers[449].point)
        #expect(cluster.penalised.isEmpty)
        // A lost peer's batches go to the others, without waiting.
        var other = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        other.add(1, claim: server.localPayload) { _ in nil }
        other.settle(limit: .zero)
        #expect(other.asked[Cluster.id(1)] == ChainNetworkLimits.requestsPerPeer)
        other.client.handle(.peerLost(Cluster.id(1)), at: .zero)
        other.add(3, server)
        other.settle(limit: .zero)
        #expect(other.client.head == headers[449].point)
    }

    /// Who opens a stream and sends nothing holds the walk up for a moment, and not for as long as a request may take.
    @Test func aBatchThatIsOwedIsAskedOfASecondPeer() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 250)
        let server = try made.machine(made.published(headers))
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        cluster.add(1, claim: server.localPayload) { _ in nil }
        cluster.settle(limit: .zero)
        #expect(cluster.asked == [Cluster.id(1): ChainNetworkLimits.requestsPerPeer])
        // The good one comes when the silent one has been asked already.
        cluster.add(2, server)
        cluster.settle(limit: ChainNetworkLimits.batchPatience)
        #expect(cluster.client.head == headers[249].point)
        #expect(cluster.penalised.isEmpty && cluster.now <= Instant.zero + ChainNetworkLimits.batchPatience)
        // Nobody is asked for what has come, and what the silent one owes ends by itself.
        let asked = cluster.asked
        cluster.settle(limit: .seconds(60))
        #expect(cluster.asked == asked && cluster.client.requests.isEmpty)
    }

    /// While nobody else is there, one peer is asked once and not again and again.
    @Test func aBatchIsOwedByOneWhereNobodyElseIsThere() throws {
        let made = try MadeChain()
        let server = try made.machine(made.published(try MadeChain.run(on: made.genesis, 90)))
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        cluster.add(1, claim: server.localPayload) { _ in nil }
        cluster.settle(limit: .seconds(25))
        #expect(cluster.asked.values.reduce(0, +) <= 2 && cluster.now <= Instant.zero + .seconds(25))
    }

    @Test func aPeerThatServesFewAtATimeIsAskedAgain() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 130)
        let server = try made.machine(made.published(headers))
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        cluster.add(1, claim: server.localPayload) { key in
            guard case .headers(let entries)? = try? HeadersValue(decoding: server.serve(key)) else { return nil }
            return HeadersValue.headers(Array(entries.prefix(7))).encoded()
        }
        cluster.settle()
        #expect(cluster.client.head == headers[129].point)
    }

    // MARK: Lies

    @Test func lyingHeightsCostAFewRequestsAndNothingElse() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 250)
        let server = try made.machine(made.published(headers))
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 7))
        for (peer, highest) in [(1, 100_000), (2, UInt64.max)] as [(UInt64, UInt64)] {
            let claim = ChainPingPayload(
                genesisHash: made.genesis.hash, lowest: 0, highest: highest, headHash: .max, certified: highest)
            cluster.add(peer, claim: claim.encoded) { server.serve($0) }
        }
        cluster.add(3, server)
        cluster.settle()
        #expect(cluster.client.head == headers[249].point)
        #expect(cluster.asked.values.reduce(0, +) < 60)
    }

    @Test func aForgedLineIsNotBelieved() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 350)
        let server = try made.machine(made.published(headers))
        let forged = [made.genesis] + (try MadeChain.run(on: made.genesis, 400, salt: 66))
        let claim = ChainPingPayload(
            genesisHash: made.genesis.hash, lowest: 0, highest: 400, headHash: forged[400].hash, certified: 400)
        for seed in 1...8 as ClosedRange<UInt64> {
            var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: seed))
            cluster.add(1, claim: claim.encoded) { key in ChainSyncTests.serve(forged, key) }
            cluster.settle()
            #expect(cluster.client.head == made.genesis.point)
            #expect(cluster.persisted.map(\.header) == [made.genesis])
            #expect(cluster.penalised == [.notAttested(number: 400)], "seed \(seed)")
            // Honest peers are not held up by what the liar left.
            cluster.add(2, server)
            cluster.add(3, server)
            cluster.settle()
            #expect(cluster.client.head == headers[349].point, "seed \(seed)")
            #expect(cluster.penalised == [.notAttested(number: 400)], "seed \(seed)")
        }
    }

    /// All at once: some batches come from the liar, some from honest peers.
    @Test func aForgedLineAmongHonestOnesIsNotBelieved() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 350)
        let server = try made.machine(made.published(headers))
        let forged = [made.genesis] + (try MadeChain.run(on: made.genesis, 400, salt: 66))
        let claim = ChainPingPayload(
            genesisHash: made.genesis.hash, lowest: 0, highest: 400, headHash: forged[400].hash, certified: 400)
        for seed in 1...16 as ClosedRange<UInt64> {
            var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: seed))
            cluster.add(1, claim: claim.encoded) { key in ChainSyncTests.serve(forged, key) }
            cluster.add(2, server)
            cluster.add(3, server)
            cluster.settle()
            #expect(cluster.client.head == headers[349].point, "seed \(seed)")
            let isOnlyTheLiar = cluster.log.allSatisfy { directive in
                if case .penalise(let peer, _) = directive { peer == Cluster.id(1) } else { true }
            }
            #expect(isOnlyTheLiar, "seed \(seed): \(cluster.penalised)")
        }
    }

    /// The real chain with a forged end is believed as far as it is real.
    @Test func aForgedEndOfTheRealChainIsNotBelieved() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 150)
        let honest = try made.machine(made.published(headers))
        let forged = try MadeChain.run(on: headers[149], 60, salt: 66)
        let claim = ChainPingPayload(
            genesisHash: made.genesis.hash, lowest: 0, highest: 210, headHash: forged[59].hash, certified: 210)
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 2))
        cluster.add(1, claim: claim.encoded) { key in
            guard case .headers(let real)? = try? HeadersValue(decoding: honest.serve(key)) else {
                return ChainSyncTests.serve([made.genesis] + headers + forged, key)
            }
            let next = real.last.map { $0.header.number + 1 } ?? 0
            guard case .headers(let wanted)? = try? ChainContentKey(decoding: key),
                case .number(let first) = wanted.start
            else { return nil }
            let rest = forged.filter { $0.number >= next && $0.number < first + UInt64(wanted.count) }
            return HeadersValue.headers(real + rest.map { CertifiedHeader(header: $0) }).encoded()
        }
        cluster.settle()
        #expect(cluster.client.head == headers[149].point)
        #expect(cluster.penalised == [.notAttested(number: 210)])
        #expect(cluster.persisted.map(\.header) == [made.genesis] + headers)
    }

    /// Damaged answers, offers, pings and keys: whatever they do, nothing but the real chain is ever believed.
    @Test func damagedBytesNeverCrashAndNeverConvince() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 30)
        let entries = made.published(headers)
        let server = try made.machine(entries)
        let real = Set(([made.genesis] + headers).map(\.hash))
        let seed: UInt64 = 20_26
        var generator = SeededGenerator(seed: seed)
        func damaged(_ bytes: [UInt8]) -> [UInt8] {
            var bytes = bytes
            for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
                let index = Int.random(in: bytes.indices, using: &generator)
                switch UInt8.random(in: 0..<4, using: &generator) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.removeSubrange(index...)
                case 2: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: index)
                default: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                }
            }
            return bytes
        }
        for round in 0..<400 {
            var client = try ChainSync(configuration: made.configuration, seed: UInt64(round))
            client.handle(.peerUpdated(Cluster.id(1), payload: server.localPayload), at: .zero)
            client.handle(.peerUpdated(Cluster.id(2), payload: damaged(server.localPayload)), at: .zero)
            for directive in client.drain() {
                guard case .request(_, let key, let tag) = directive else { continue }
                client.handle(.answered(tag, content: damaged(server.serve(key))), at: .zero)
                _ = client.serve(damaged(key))
            }
            let offer = entries[round % entries.count]
            let key = ChainContentKey.newBlock(offer.point).encoded
            client.handle(.offered(key: damaged(key), value: NewBlockValue.encode(offer), by: Cluster.id(1)), at: .zero)
            client.handle(.offered(key: key, value: damaged(NewBlockValue.encode(offer)), by: Cluster.id(1)), at: .zero)
            client.advance(to: Instant.zero + .seconds(40))
            #expect(real.contains(client.head.hash) && real.contains(client.final.hash), "seed \(seed) round \(round)")
            for case .persist(let kept, _, _) in client.drain() {
                #expect(kept.allSatisfy { real.contains($0.header.hash) }, "seed \(seed) round \(round)")
            }
        }
    }

    @Test func brokenAnswersAreHeldAgainstTheirSender() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 60)
        let server = try made.machine(made.published(headers))
        let entries = made.published(headers)
        func reason(_ responder: @escaping Cluster.Responder) throws -> ChainNetworkError? {
            var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 1))
            cluster.add(1, claim: server.localPayload, responder)
            cluster.settle(limit: .seconds(10))
            #expect(cluster.client.head == made.genesis.point)
            return cluster.penalised.first
        }
        #expect(try reason { _ in [] } == .unknownStatus(nil))
        #expect(try reason { _ in [0, 1] } == .malformedValue(.wrongSize))
        #expect(try reason { _ in HeadersValue.headers(Array(entries[4...])).encoded() } == .notWhatWasAsked)
        let gap = [CertifiedHeader(header: made.genesis), entries[0], entries[2]]
        #expect(try reason { _ in HeadersValue.headers(gap).encoded() } == .notWhatWasAsked)
        let stranger = try MadeChain.header(parent: nil, salt: 3)
        #expect(
            try reason { _ in HeadersValue.headers([CertifiedHeader(header: stranger)]).encoded() }
                == .invalid(.notTheCheckpoint(expected: made.genesis.hash, found: stranger.hash)))
        let foreign = try MadeChain(keys: 2)
        let signed = foreign.certified(headers[0], by: [1], final: nil)
        #expect(
            try reason { _ in HeadersValue.headers([CertifiedHeader(header: made.genesis), signed]).encoded() }
                == .invalid(.certificate(.unknownSigner(foreign.keys[1].publicKey))))
    }

    @Test func peersOfAnotherChainAreNotAsked() throws {
        let made = try MadeChain()
        var cluster = Cluster(try ChainSync(configuration: made.configuration, seed: 1))
        let claim = ChainPingPayload(genesisHash: .max, lowest: 0, highest: 9, headHash: .max, certified: 9)
        cluster.add(1, claim: claim.encoded) { _ in [0] }
        cluster.add(1, claim: claim.encoded) { _ in [0] }
        cluster.add(2, claim: [1, 2]) { _ in [0] }
        cluster.settle(limit: .seconds(10))
        #expect(cluster.asked.isEmpty)
        #expect(cluster.penalised == [.anotherGenesis(.max), .malformedValue(.wrongSize)])
    }

    /// Headers without any certificate, as a peer's own forgery would be.
    static func serve(_ line: [BlockHeader], _ key: [UInt8]) -> [UInt8]? {
        guard case .headers(let wanted)? = try? ChainContentKey(decoding: key), case .number(let first) = wanted.start
        else { return nil }
        let run = line.filter { $0.number >= first && $0.number < first + UInt64(wanted.count) }
        return run.isEmpty
            ? HeadersValue.notServed(lowest: 0, highest: UInt64(line.count - 1)).encoded()
            : HeadersValue.headers(run.map { CertifiedHeader(header: $0) }).encoded()
    }
}
