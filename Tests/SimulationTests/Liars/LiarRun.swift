import Overlay
import Primitives
import StateContent
import Synchronization
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// How often a liar has lied.
final class LieCount: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add() { count.withLock { $0 += 1 } }
}

extension LiarKind {
    /// The same liar, whose lies are counted: what it says otherwise than it is, or does not say.
    func counted(by tally: LieCount) -> LiarKind {
        var liar = self
        if let answers {
            liar.answers = { key, value in
                let said = answers(key, value)
                if said != value { tally.add() }
                return said
            }
        }
        if let makes {
            liar.makes = { job, value, store in
                let said = makes(job, value, store)
                if said != value { tally.add() }
                return said
            }
        }
        if let offers {
            liar.offers = { item in
                let said = offers(item)
                if said != item { tally.add() }
                return said
            }
        }
        return liar
    }
}

/// What is checked after a run among liars, whatever they did.
enum LiarRun {
    /// Nobody accuses an honest host, and no honest host has banned another.
    static func expectNoHonestOnePays(in scenario: Scenario, _ honest: [HostID]) throws {
        for accusation in scenario.world.accusations where honest.contains(accusation.accuser) {
            #expect(!honest.contains(accusation.accused), "\(accusation)")
        }
        for host in honest {
            let node = try #require(scenario.world.node(host))
            for other in honest where other != host {
                let id = scenario.world.hosts[other.index].configuration.key.nodeID
                let standing = node.overlay.standing(of: id)
                #expect(standing?.bannedUntil == nil, "\(host) has banned \(other): \(String(describing: standing))")
            }
        }
    }

    /// Every liar that gave the client an answer that cannot be true, and that the client looked at, is named and left.
    /// One that was never asked for what it lies about cannot be known. Prints an account of each; gives how many were
    /// found out.
    static func expectEveryLiarIsNamed(
        by client: HostID, _ liars: [HostID], _ ledger: LieLedger, in scenario: Scenario
    ) throws -> Int {
        let named = Set(scenario.world.accusations.filter { $0.accuser == client }.map(\.accused))
        let node = try #require(scenario.world.node(client))
        var found = 0
        for host in liars {
            let id = scenario.world.id(of: host)
            let account = ledger[id]
            let name = scenario.world.liar(host)?.name ?? ""
            let isBanned = node.overlay.standing(of: id)?.bannedUntil != nil
            print(
                "host \(host.index) \(name): asked \(account.asked), \(account.lies) lies, \(account.looked) seen,",
                named.contains(host) ? "named" : "not named", isBanned ? "banned" : "not banned")
            guard account.looked > 0 else { continue }
            found += 1
            #expect(named.contains(host), "\(name) is not named: \(account)")
            #expect(isBanned && account.isCharged, "\(name) is not left: \(account)")
        }
        return found
    }

    /// Whether a host has anything against another one: a ban, points lost, or requests that came to nothing.
    static func charges(_ host: HostID, _ liar: HostID, in scenario: Scenario) throws -> Bool {
        let id = scenario.world.hosts[liar.index].configuration.key.nodeID
        let standing = try #require(scenario.world.node(host)).overlay.standing(of: id)
        return standing.map { $0.bannedUntil != nil || $0.score < 0 || $0.failureRate > 0 || $0.brokenOfferRate > 0 }
            ?? false
    }

    /// After a while in which no block comes, nothing is under way at any of these hosts: no slot is lost.
    static func expectNothingIsKept(in scenario: inout Scenario, by hosts: [HostID]) {
        var kept: [String] = []
        let isIdle = scenario.world.run(until: scenario.world.now + .seconds(150)) { world in
            kept = hosts.flatMap { LiarRun.kept(by: $0, in: world) }
            return kept.isEmpty
        }
        #expect(isIdle, "\(kept.joined(separator: ", "))")
    }

    private static func kept(by host: HostID, in world: World) -> [String] {
        guard let node = world.node(host) else { return ["\(host) does not run"] }
        let (load, book) = (node.overlay.load, node.state.holdings.book)
        let counts = [
            "requests": load.requests, "served": load.served, "offers": load.offers,
            "offers of others": load.inboundOffers, "bytes of offers": load.inboundOfferBytes, "streams": load.streams,
            "bytes of answers": load.answerBytes, "asked": node.state.operations.askCount,
            "serving": node.state.operations.servingCount, "locked": node.arc.count { book.isLocked($0) },
            "jobs": node.jobs.count, "transactions": node.commits.count, "owners of requests": node.requests.count,
        ]
        return counts.filter { $0.value != 0 }.map { "host \(host.index): \($0.value) \($0.key)" }
    }
}
