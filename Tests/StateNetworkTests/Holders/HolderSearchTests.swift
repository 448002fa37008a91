import Chain
import Discovery
import Overlay
import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

@Suite("Searches for holders") struct HolderSearchTests {
    /// Nobody is asked before there is anybody to ask.
    @Test func itBeginsWithTheFirstPeer() throws {
        var bench = DirectoryBench(.walker)
        #expect(bench.advance(urgent: [3]).isEmpty)
        bench.tell(try bench.node(near: 0, radius: 256))
        let lookups = bench.advance(urgent: [3, 9]).lookups
        #expect(lookups.first?.section == 3, "what is waited for goes first")
        #expect(lookups.count == HolderLimits.searches)
        #expect(Set(lookups.map(\.section)).count == lookups.count)
        #expect(lookups.allSatisfy { $0.width == HolderLimits.widths[0] })
        #expect(bench.advance(urgent: [3, 9]).isEmpty, "no more at once")
    }

    /// The nearest are met first, a few at a time; with enough providers the search is over.
    @Test func foundNodesAreMetUntilThereAreEnough() throws {
        var bench = DirectoryBench(.walker)
        bench.tell(try bench.node(near: 0, radius: 256))
        let lookup = try #require(bench.advance(urgent: [3]).lookups.first)
        let found = try (0..<10).map { try bench.node(near: 3, host: [10, 0, UInt8($0), 1]) }
        bench.directory.lookedUp(lookup.id, LookupResult(found), at: bench.now)
        let first = bench.directory.drain().met
        #expect(first == found.prefix(HolderLimits.firstWave).map(\.id))
        // One does not answer, one has nothing, two have it: not enough.
        bench.directory.lost(found[0].id)
        bench.tell(found[1])
        bench.tell(found[2], providing: [3..<4])
        bench.tell(found[3], providing: [3..<4])
        #expect(bench.directory.providers(of: 3) == 2)
        let second = bench.advance(urgent: [3]).met
        #expect(second == found[4...].map(\.id), "the next wave is twice as large, and there are six")
        bench.tell(found[4], providing: [3..<4])
        #expect(bench.directory.providers(of: 3) == 3)
        let rest = bench.advance(urgent: [3])
        #expect(rest.met.isEmpty && rest.asked.isEmpty)
        #expect(bench.directory.state(of: 3, at: bench.now) == .supplied, "the others are not waited for")
    }

    /// Who lives there does not have it: neighbours are asked for names, and those are met.
    @Test func neighboursAreAskedForNames() throws {
        var bench = DirectoryBench(.walker)
        bench.tell(try bench.node(near: 0, radius: 256))
        let lookup = try #require(bench.advance(urgent: [3]).lookups.first)
        let near = try (0..<5).map { try bench.node(near: 3, host: [10, 0, UInt8($0), 1]) }
        bench.directory.lookedUp(lookup.id, LookupResult(near), at: bench.now)
        _ = bench.directory.drain()
        for info in near.prefix(4) { bench.tell(info) }
        _ = bench.advance(urgent: [3])
        bench.tell(near[4])
        let asked = bench.advance(urgent: [3]).asked
        #expect(asked.map(\.peer) == [near[0].id, near[1].id, near[4].id], "the nearest two and the farthest")
        let far = try bench.node(near: 12, radius: 256)
        for question in asked { bench.directory.named(question.id, [far.record], at: bench.now) }
        #expect(bench.directory.drain().met == [far.id])
        // It never answers: the search ends all the same, and pauses.
        let quiet = bench.advance(by: HolderLimits.meetingTime, urgent: [3])
        #expect(quiet.lookups.allSatisfy { $0.section != 3 })
        guard case .pausing(_, attempts: 1) = bench.directory.state(of: 3, at: bench.now) else {
            Issue.record("\(bench.directory.state(of: 3, at: bench.now))")
            return
        }
    }

    /// Lets a search end without any find; the time it is begun again.
    private func fruitless(
        _ bench: inout DirectoryBench, _ section: Int
    ) throws -> (width: Int, avoided: Set<Bytes32>) {
        for _ in 0..<2_000 {
            let lookups = bench.advance(urgent: [section]).lookups
            for lookup in lookups {
                bench.directory.lookedUp(lookup.id, LookupResult(nodes: [], queries: 1, failures: 1), at: bench.now)
            }
            if let own = lookups.first(where: { $0.section == section }) { return (own.width, own.avoided) }
        }
        throw StateContentError.invalid("no search was begun")
    }

    @Test func aSearchThatFoundNobodyIsRepeatedLaterAndWider() throws {
        var bench = DirectoryBench(.walker)
        bench.tell(try bench.node(near: 0, radius: 256))
        var times: [Instant] = []
        var widths: [Int] = []
        for _ in 0..<8 {
            widths.append(try fruitless(&bench, 5).width)
            times.append(bench.now)
        }
        #expect(widths == HolderLimits.widths + [48, 48, 48, 48])
        let pauses = zip(times, times.dropFirst()).map { $1 - $0 }
        let slack = Interval.milliseconds(600)
        for (index, pause) in pauses.enumerated() {
            let wanted = min(HolderLimits.pauseWithout * (1 << index), HolderLimits.longestPauseWithout)
            #expect(pause >= wanted && pause <= wanted + slack, "pause \(index)")
        }
    }

    @Test func theLastProviderLostEndsThePause() throws {
        var bench = DirectoryBench(.walker)
        let holder = try bench.node(near: 5)
        bench.tell(holder, providing: [5..<6])
        _ = try fruitless(&bench, 5)
        let others = bench.advance(by: .seconds(5), urgent: [5]).lookups
        #expect(others.allSatisfy { $0.section != 5 })
        for lookup in others {
            bench.directory.lookedUp(lookup.id, LookupResult(nodes: [], queries: 1, failures: 1), at: bench.now)
        }
        bench.directory.lost(holder.id)
        bench.tell(try bench.node(near: 0, radius: 256))
        let again = bench.advance(by: .seconds(1), urgent: [5]).lookups
        #expect(again.first?.section == 5)
    }

    /// Those whose word was worth nothing are left out of the next lookup.
    @Test func doubtfulNodesAreAvoided() throws {
        var bench = DirectoryBench(.walker)
        let liar = try bench.node(near: 5)
        bench.tell(liar, providing: [0..<16])
        #expect(bench.directory.providers(of: 5) == 1)
        for _ in 0..<HolderLimits.failuresBeforeDoubt {
            #expect(bench.directory.providers(of: 5) == 1)
            bench.directory.note(liar.id, helped: false, at: bench.now)
            bench.now = bench.now + HolderLimits.doubtTerm
        }
        #expect(bench.directory.providers(of: 5) == 0)
        #expect(try fruitless(&bench, 5).avoided == [liar.id])
        bench.directory.note(liar.id, helped: true, at: bench.now)
        #expect(bench.directory.providers(of: 5) == 1, "an announcement is made good by help")
    }

    /// Whoever puts one off again, however politely, counts no more; what goes wrong in one moment is one failure; and
    /// after a while anybody gets another chance.
    @Test func anAnnouncementHasATerm() throws {
        var bench = DirectoryBench(.walker)
        let busy = try bench.node(near: 5)
        bench.tell(busy, providing: [5..<6])
        for _ in 0..<4 { bench.directory.note(busy.id, helped: false, at: bench.now) }
        #expect(bench.directory.providers(of: 5) == 1)
        bench.now = bench.now + HolderLimits.doubtTerm
        bench.directory.note(busy.id, helped: false, at: bench.now)
        #expect(bench.directory.providers(of: 5) == 0)
        _ = bench.advance(by: HolderLimits.doubtMemory)
        #expect(bench.directory.providers(of: 5) == 1)
    }

    /// In a small network one lookup finds everybody, so no other section is searched for at once.
    @Test func oneSearchServesAllThatItReaches() throws {
        var bench = DirectoryBench(.walker)
        bench.tell(try bench.node(near: 0, radius: 256))
        let lookups = bench.advance().lookups
        for lookup in lookups {
            bench.directory.lookedUp(lookup.id, LookupResult(nodes: [], queries: 3), at: bench.now)
        }
        let before = bench.directory.searchCount
        #expect(bench.advance(by: .seconds(1)).lookups.isEmpty)
        #expect(bench.directory.searchCount == before, "all sections pause")
    }

    @Test func holdersOfEarlierRunsAreTriedFirst() throws {
        var maker = DirectoryBench(.walker, seed: 5)
        let info = try maker.node(near: 9)
        let holder = StoredHolder(record: info.record, arc: Arc(around: 9, bits: 4, depth: 1), toldAt: 1_000)
        var bench = DirectoryBench(.walker, stored: [holder])
        let first = bench.advance(urgent: [9, 2])
        #expect(first.met == [info.id])
        #expect(first.lookups.contains { $0.section == 2 } && !first.lookups.contains { $0.section == 9 })
        bench.directory.lost(info.id)
        #expect(bench.advance().lookups.contains { $0.section == 9 }, "the lookup follows where they are gone")
    }

    @Test func searchesArePaced() throws {
        var bench = DirectoryBench(.walker, arc: Arc(around: 0, bits: 0, depth: 3))
        bench.tell(try bench.node(near: 0, radius: 256))
        var begun = 0
        for _ in 0..<40 {
            let lookups = bench.advance().lookups
            begun += lookups.count
            for lookup in lookups {
                let result = LookupResult(nodes: [], queries: 1, failures: 1)
                bench.directory.lookedUp(lookup.id, result, at: bench.now)
            }
        }
        let allowed = HolderLimits.searchBurst + HolderLimits.searchRate * 10 + 1
        #expect(Double(begun) <= allowed && Double(begun) > allowed / 2, "\(begun) in ten seconds")
    }

    /// A node that answers with thousands of records gets no more of a search than others.
    @Test func foundNodesAreBounded() throws {
        var search = HolderSearch(section: 0, attempt: 0)
        var bench = DirectoryBench(.walker)
        let flood = try (0..<200).map { _ in try bench.node(near: 3).record }
        for _ in 0..<10 { search.find(flood) }
        #expect(search.found.count == HolderLimits.found)
        var met = 0
        while true {
            let wave = search.nextWave { _ in true }
            if wave.isEmpty { break }
            met += wave.count
        }
        #expect(met == HolderLimits.found)
    }
}
