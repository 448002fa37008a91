import Chain
import Discovery
import Overlay
import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

@Suite("Directory of holders") struct HolderDirectoryTests {
    // MARK: Who counts

    @Test func providersAreCountedAndGivenBack() throws {
        var bench = DirectoryBench(.walker)
        let (one, two) = (try bench.node(near: 3, radius: 254), try bench.node(near: 3, radius: 256))
        bench.tell(one, providing: [0..<2, 3..<4])
        bench.tell(two, .walker, providing: [3..<9])
        let counts = (0..<16).map { bench.directory.providers(of: $0) }
        #expect(counts == [1, 1, 0, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
        bench.tell(two, .walker, providing: [8..<9])
        #expect(bench.directory.providers(of: 3) == 1 && bench.directory.providers(of: 8) == 1)
        #expect(bench.directory.covering(3).map(\.id) == [two.id, one.id], "the larger arc first")
        #expect(bench.directory.covering(9).map(\.id) == [two.id])
        bench.directory.lost(one.id)
        bench.directory.lost(two.id)
        #expect((0..<16).allSatisfy { bench.directory.providers(of: $0) == 0 && bench.directory.covering($0).isEmpty })
        #expect(bench.directory.keptCount == 0)
    }

    /// Of two anchors a section counts once; of one that nobody knows, or knows no more, not at all.
    @Test func onlyAnchorsOfUseCount() throws {
        var bench = DirectoryBench(.walker)
        let info = try bench.node(near: 3)
        bench.tell(info, providing: [3..<4], at: DirectoryBench.before)
        #expect(bench.directory.providers(of: 3) == 1)
        let others: [(UInt64, Bytes32)] = [(7, .max), (.max, .zero), (5, .zero)]
        for invented in others.map({ Anchor(epoch: $0, hash: $1) }) {
            bench.tell(info, providing: [0..<16], at: invented)
            #expect(bench.directory.providers(of: 3) == 0)
        }
        let payload = StatePingPayload(
            role: .holder, radius: info.radius, head: nil,
            served: [
                AnchorSections(anchor: DirectoryBench.before, runs: [3..<4]),
                AnchorSections(anchor: DirectoryBench.anchor, runs: [3..<5]),
            ])
        bench.directory.told(payload, by: info, at: bench.now)
        #expect(bench.directory.providers(of: 3) == 1 && bench.directory.providers(of: 4) == 1)
        let next = Anchor(epoch: 8, hash: .zero)
        bench.directory.anchorsAdvanced(to: [next, DirectoryBench.anchor])
        #expect(bench.directory.providers(of: 3) == 1)
        bench.directory.anchorsAdvanced(to: [Anchor(epoch: 9, hash: .zero), next])
        #expect(bench.directory.providers(of: 3) == 0)
    }

    @Test func aWalkerCountsNoBridge() throws {
        for (role, count) in [(Role.walker, 0), (.holder, 1)] {
            var bench = DirectoryBench(role, arc: Arc(around: 3, bits: role == .holder ? 4 : 0, depth: 1))
            let bridge = try bench.node(near: 8, radius: 256)
            bench.tell(bridge, .bridge, providing: [0..<16])
            #expect(bench.directory.providers(of: 3) == count)
            #expect(bench.directory.drain().kept == (role == .holder ? [bridge.id] : []))
        }
    }

    /// A node that does not have what it announced is believed nothing it said; twice is remembered.
    @Test func aSectionThatIsNotThereTakesAllThatWasAnnouncedWithIt() throws {
        var bench = DirectoryBench(.walker)
        let info = try bench.node(near: 3)
        bench.tell(info, providing: [3..<5])
        let directory = bench.directory
        #expect(bench.directory.disbelieve(9, at: DirectoryBench.anchor, by: info.id, now: bench.now) == 0)
        #expect(bench.directory.disbelieve(3, at: DirectoryBench.anchor, by: info.id, now: bench.now) == 1)
        #expect(directory.providers(of: 4) == 1 && bench.directory.providers(of: 4) == 0)
        bench.tell(info, providing: [3..<5])
        #expect(bench.directory.disbelieve(3, at: DirectoryBench.anchor, by: info.id, now: bench.now) == 2)
    }

    /// Where the chain stands still a node has nothing new to say: what it said counts again after a while, which
    /// grows, and is shorter again once it has helped.
    @Test func whatWasAnnouncedIsBelievedAgainAfterAWhile() throws {
        var bench = DirectoryBench(.walker)
        let info = try bench.node(near: 3)
        bench.tell(info, providing: [3..<5])
        for (round, seconds) in [30, 60, 120, 240, 480, 960, 960].enumerated() {
            let times = bench.directory.disbelieve(3, at: DirectoryBench.anchor, by: info.id, now: bench.now)
            #expect(times == 1, "round \(round): it said so once, and pays no more")
            _ = bench.advance(by: .seconds(seconds - 3))
            #expect(bench.directory.providers(of: 4) == 0)
            _ = bench.advance(by: .seconds(4))
            #expect(bench.directory.providers(of: 4) == 1, "round \(round)")
        }
        let range = WalkTask.range(
            section: 3, anchor: DirectoryBench.anchor, origin: .first, limit: .last, maxBytes: 1_000)
        bench.directory.ended(range, of: info.id, .done(bytes: 100), at: bench.now)
        _ = bench.directory.disbelieve(3, at: DirectoryBench.anchor, by: info.id, now: bench.now)
        _ = bench.advance(by: .seconds(31))
        #expect(bench.directory.providers(of: 4) == 1)
        // Who says it anew and does not have it again has said it twice.
        bench.tell(info, providing: [3..<5])
        #expect(bench.directory.disbelieve(3, at: DirectoryBench.anchor, by: info.id, now: bench.now) == 1)
        bench.tell(info, providing: [3..<5])
        #expect(bench.directory.disbelieve(3, at: DirectoryBench.anchor, by: info.id, now: bench.now) == 2)
        // What it says it has no more is not believed later either.
        bench.directory.keep(anchors: [], of: info.id)
        _ = bench.advance(by: .seconds(2_000))
        #expect(bench.directory.providers(of: 4) == 0)
    }

    // MARK: Who is kept

    /// Nodes of one section, each of a subnet of its own: no more are kept than are of use.
    @Test func soManyASectionAreKept() throws {
        var bench = DirectoryBench(.walker)
        for host in 0..<20 {
            let info = try bench.node(near: 3, host: [10, 1, UInt8(host), 1])
            bench.directory.met(info)
            guard bench.directory.drain().kept == [info.id] else { continue }
            bench.tell(info, providing: [3..<4])
        }
        #expect(bench.directory.keptCount == HolderLimits.keptPerSection)
        #expect(bench.directory.keepers(of: 3) == HolderLimits.keptPerSection)
    }

    /// Those who cover a section and never have it take no place from those who do.
    @Test func thoseWithoutTheSectionDoNotKeepHoldersOut() throws {
        var bench = DirectoryBench(.walker)
        for host in 0..<20 {
            let info = try bench.node(near: 3, host: [10, 1, UInt8(host), 1], isKept: true)
            bench.directory.met(info)
            bench.tell(info)
        }
        #expect(bench.directory.keptCount == HolderLimits.keptPerSection)
        _ = bench.directory.drain()
        let holder = try bench.node(near: 3, host: [10, 2, 1, 1])
        bench.directory.met(holder)
        #expect(bench.directory.drain().kept == [holder.id], "the section is short, so it is heard")
        bench.tell(holder, providing: [3..<4])
        #expect(bench.directory.providers(of: 3) == 1 && bench.directory[holder.id]?.isKept == true)
    }

    /// Kept by its radius alone, a node that never says what it has is let go, and takes no place for longer.
    @Test func whoNeverTellsIsReleased() throws {
        var bench = DirectoryBench(.walker)
        bench.tell(try bench.node(near: 0, radius: 256))
        _ = bench.directory.drain()
        let ghost = try bench.node(near: 3)
        bench.directory.met(ghost)
        #expect(bench.directory.drain().kept == [ghost.id])
        _ = bench.advance()
        #expect(bench.advance(by: HolderLimits.meetingTime + .seconds(1)).released == [ghost.id])
    }

    /// Ghosts of one network prefix, all at once: they get its share and no more.
    @Test func manyAtOnceAreHeldToTheLimits() throws {
        var bench = DirectoryBench(.walker)
        var kept = 0
        for host in 0..<200 {
            bench.directory.met(try bench.node(near: host % 16, host: [10, 1, 1, UInt8(host)]))
            kept += bench.directory.drain().kept.count
        }
        #expect(kept == HolderLimits.kept(.walker, sections: 16) / HolderLimits.subnetShare)
    }

    /// Whoever says that he covers everything and shows nothing keeps nobody out who does.
    @Test func anEmptyRadiusKeepsNobodyOut() throws {
        var bench = DirectoryBench(.holder, arc: Arc(around: 3, bits: 4, depth: 1))
        for host in 0..<HolderLimits.keptWhole {
            let info = try bench.node(near: host % 16, radius: 256, host: [10, 1, UInt8(host), 1])
            bench.tell(info, .walker)
        }
        #expect(bench.directory.keptCount == HolderLimits.keptWhole)
        _ = bench.directory.drain()
        let bridge = try bench.node(near: 9, radius: 256, host: [10, 2, 2, 2])
        bench.tell(bridge, .bridge, providing: [0..<16])
        #expect(bench.directory.drain().kept == [bridge.id])
    }

    /// A liar that goes and comes back is still who he was.
    @Test func doubtOutlivesTheConnection() throws {
        var bench = DirectoryBench(.walker)
        let liar = try bench.node(near: 5)
        bench.tell(liar, providing: [5..<6])
        for _ in 0..<HolderLimits.failuresBeforeDoubt {
            bench.directory.note(liar.id, helped: false, at: bench.now)
            bench.now = bench.now + HolderLimits.doubtTerm
        }
        bench.directory.lost(liar.id)
        bench.tell(liar, providing: [5..<6])
        #expect(bench.directory.providers(of: 5) == 0)
        // Gone again, it is left out of lookups for a while and not for ever.
        bench.directory.lost(liar.id)
        bench.tell(try bench.node(near: 0, radius: 256))
        let soon = try #require(bench.advance(urgent: [5]).lookups.first)
        #expect(soon.avoided == [liar.id])
        bench.directory.lookedUp(soon.id, LookupResult(nodes: [], queries: 1, failures: 1), at: bench.now)
        let later = bench.advance(by: HolderLimits.doubtMemory, urgent: [5]).lookups.first { $0.section == 5 }
        #expect(try #require(later).avoided.isEmpty)
    }

    /// Kept by its radius alone, a node that turns out to be of no use is let go.
    @Test func whoTurnsOutToBeOfNoUseIsReleased() throws {
        var bench = DirectoryBench(.walker)
        let bridge = try bench.node(near: 3, radius: 256, isKept: true)
        bench.directory.met(bridge)
        #expect(bench.directory.drain().kept == [bridge.id])
        bench.tell(bridge, .bridge, providing: [0..<16])
        #expect(bench.directory.drain().released == [bridge.id])
        #expect(bench.directory.keptCount == 0)
    }

    @Test func oneSubnetHasTwoPlacesASection() throws {
        var bench = DirectoryBench(.walker)
        for host in 0..<10 {
            let info = try bench.node(near: 3, host: [10, 1, 1, UInt8(host)])
            bench.directory.met(info)
            if bench.directory.drain().kept == [info.id] { bench.tell(info, providing: [3..<4]) }
        }
        #expect(bench.directory.keptCount == HolderLimits.keptPerSectionAndSubnet)
    }

    /// Whoever says that he covers the whole ring gets the share of such nodes and no more.
    @Test func whoCoversEverythingHasAShare() throws {
        var bench = DirectoryBench(.holder, arc: Arc(around: 3, bits: 4, depth: 1))
        for host in 0..<40 {
            let info = try bench.node(near: host % 16, radius: 256, host: [10, 1, UInt8(host), 1])
            bench.directory.met(info)
            if bench.directory.drain().kept == [info.id] { bench.tell(info, .walker, providing: [0..<16]) }
        }
        #expect(bench.directory.keptCount == HolderLimits.keptWhole)
    }

    /// A holder needs its arc and the one beside it, and nobody from elsewhere.
    @Test func aHolderKeepsItsArcAndTheOneBesideIt() throws {
        var bench = DirectoryBench(.holder, arc: Arc(around: 4, bits: 4, depth: 1))
        for section in [3, 4, 5, 6] {
            let info = try bench.node(near: section, host: [10, 1, UInt8(section), 1])
            bench.directory.met(info)
            #expect(bench.directory.drain().kept == ([4, 5].contains(section) ? [info.id] : []))
        }
        bench.tell(try bench.node(near: 9, radius: 256), .walker)
        #expect(Set(bench.advance().lookups.map(\.section)) == [4, 5])
    }

    /// The directory is full: a node of a section that somebody waits for takes the place of one that nobody needs now.
    @Test func theLeastUsefulLeaves() throws {
        var bench = DirectoryBench(.holder, arc: Arc(around: 0, bits: 1, depth: 2))
        let limit = HolderLimits.kept(.holder, sections: 256)
        var kept = 0
        for index in 0..<(limit + 40) {
            let host: [UInt8] = [10, UInt8(index >> 8), UInt8(index & 255), 1]
            let info = try bench.node(near: index % 128, depth: 2, radius: 248, host: host)
            bench.directory.met(info)
            if bench.directory.drain().kept.contains(info.id) {
                kept += 1
                bench.tell(info, providing: [index % 128..<index % 128 + 1])
            }
            #expect(bench.directory.keptCount <= limit)
        }
        #expect(kept > limit, "newcomers got places of others")
    }

    // MARK: Network prefixes

    /// Three providers of one prefix are one operator: another is looked for, and ends that.
    @Test func providersOfOnePrefixAreNotEnough() throws {
        var bench = DirectoryBench(.walker)
        for section in 0..<16 {
            for host in 0..<3 {
                let address: [UInt8] = section == 7 ? [10, 1, 1, UInt8(host)] : [10, 1, UInt8(host), 1]
                bench.tell(try bench.node(near: section, host: address), providing: [section..<section + 1])
            }
        }
        let lookup = try #require(bench.advance().lookups.first)
        #expect(lookup.section == 7 && bench.directory.providers(of: 7) == 3)
        bench.tell(try bench.node(near: 7, host: [10, 9, 9, 9]), providing: [7..<8])
        bench.directory.lookedUp(lookup.id, LookupResult(nodes: [], queries: 3), at: bench.now)
        _ = bench.advance(by: .seconds(3))
        #expect(bench.directory.state(of: 7, at: bench.now) == .supplied)
    }

    // MARK: Bridges

    /// A bridge looks for those who cover a section, filled or not, and tells which nobody has complete.
    @Test func aBridgeWantsKeepersOfEverySection() throws {
        var bench = DirectoryBench(.bridge)
        for section in 1..<16 {
            for host in 0..<3 { bench.tell(try bench.node(near: section, host: [10, 1, UInt8(host), 1])) }
        }
        #expect((1..<16).allSatisfy { bench.directory.keepers(of: $0) == 3 })
        #expect(bench.advance().lookups.map(\.section) == [0])
        #expect(bench.directory.unheld(at: bench.now) == nil, "they have had no time yet")
        bench.tell(try bench.node(near: 2, host: [10, 7, 0, 1]), providing: [2..<3])
        _ = bench.advance(by: HolderLimits.unheldAfter + .seconds(3))
        let unheld = try #require(bench.directory.unheld(at: bench.now))
        #expect(unheld.count == 15 && unheld.first.index == 0)
        #expect(bench.directory.supply.count == 4, "\(bench.directory.supply)")
    }
}

@Suite("Holders of earlier runs") struct StoredHolderTests {
    @Test func whatIsWrittenIsRead() throws {
        var bench = DirectoryBench(.walker)
        for (section, exponent) in [(3, 252), (9, 255), (12, 240)] {
            bench.tell(try bench.node(near: section, radius: exponent), providing: [section..<section + 1])
        }
        bench.now = bench.now + .seconds(30)
        let worth = bench.directory.worthStoring(at: bench.now, unixSeconds: 1_000_000)
        #expect(worth.map(\.arc.bits) == [1, 4, 4] && worth.allSatisfy { $0.toldAt == 999_970 })
        #expect(StoredHolder.decode(StoredHolder.encode(worth), depth: 1) == worth)
        #expect(StoredHolder.decode(StoredHolder.encode([]), depth: 1) == [])
    }

    @Test func whatIsNoSuchListIsNothing() throws {
        var bench = DirectoryBench(.walker)
        let info = try bench.node(near: 3)
        let holder = StoredHolder(record: info.record, arc: Arc(around: 3, bits: 4, depth: 1), toldAt: 7)
        let bytes = StoredHolder.encode([holder])
        #expect(StoredHolder.decode([], depth: 1) == nil)
        #expect(StoredHolder.decode(bytes + [0], depth: 1) == nil)
        // A record that another byte has been put into does not verify; nothing of the list is taken.
        for place in bytes.indices.dropLast(4) {
            var broken = bytes
            broken[place] ^= 1
            #expect(StoredHolder.decode(broken, depth: 1)?.first?.record != info.record)
        }
    }

    @Test func whoIsTooOldIsNotKept() throws {
        var maker = DirectoryBench(.walker, seed: 9)
        let info = try maker.node(near: 3)
        let arc = Arc(around: 3, bits: 4, depth: 1)
        let old = StoredHolder(record: info.record, arc: arc, toldAt: 1_000)
        let bench = DirectoryBench(.walker, stored: [old])
        let limit = 1_000 + HolderLimits.storedSeconds
        #expect(bench.directory.worthStoring(at: bench.now, unixSeconds: limit) == [old])
        #expect(bench.directory.worthStoring(at: bench.now, unixSeconds: limit + 1) == [])
        #expect(bench.directory.worthStoring(at: bench.now, unixSeconds: 5) == [old], "the clock was set back")
    }
}
