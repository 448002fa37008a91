import Primitives
import StateStore

// What the directory tells those who watch.
extension HolderDirectory {
    /// How it stands with the holders of a section.
    public enum SectionState: Sendable, Equatable {
        /// As many announce it as are wanted.
        case supplied
        case due
        /// `attempt`: searches before that found too few.
        case searching(HolderSearch.Stage, attempt: Int)
        case pausing(rest: Interval, attempts: Int)
    }

    /// How it stands with a section's holders.
    public func state(of section: Int, at now: Instant) -> SectionState {
        let under = searches.keys.sorted().first { id in searches[id].map { reach(of: $0).contains(section) } ?? false }
        if let search = under.flatMap({ searches[$0] }) {
            return .searching(search.stage, attempt: search.attempt)
        }
        guard isShort(section) else { return .supplied }
        let rest = schedule.rest(of: section, at: now)
        return rest > .zero ? .pausing(rest: rest, attempts: schedule.attempts(section)) : .due
    }

    /// Neighbouring sections that as many hold.
    public struct SupplyRun: Sendable, Equatable {
        public let first: Section
        public internal(set) var last: Section
        /// Live providers of each, and kept holders that cover it.
        public let providers, keepers: Int
    }

    /// Needed sections in order, those with the same numbers together.
    public var supply: [SupplyRun] {
        var runs: [SupplyRun] = []
        for index in needed {
            let section = Section(depth: arc.depth, index: index)
            let (providers, keepers) = (providers(of: index), keepers(of: index))
            if let last = runs.last, last.providers == providers, last.keepers == keepers {
                runs[runs.count - 1].last = section
            } else {
                runs.append(SupplyRun(first: section, last: section, providers: providers, keepers: keepers))
            }
        }
        return runs
    }

    /// Sections that nobody known has complete, for some time already: how many, and the first.
    public struct Unheld: Sendable, Equatable {
        public let count: Int
        public let first: Section
    }

    /// Needed sections without any live provider for longer than `HolderLimits.unheldAfter`; nil where there are none.
    public func unheld(at now: Instant) -> Unheld? {
        let sections = unprovidedSince.filter { now - $0.value >= HolderLimits.unheldAfter }.keys
        guard let first = sections.min() else { return nil }
        return Unheld(count: sections.count, first: Section(depth: arc.depth, index: first))
    }
}

extension HolderBook {
    /// Walkers that still lack something, as this node does: what one of them has the others can have of it. The
    /// nearest to `id`, so that of many each has some.
    func fellows(of id: Bytes32) -> [Bytes32] {
        let all = Section.count(depth: depth)
        let fellows = peers.values.filter { peer in
            peer.role == .walker && !peer.served.contains { $0.runs.reduce(0) { $0 + $1.count } >= all }
        }
        return Array(fellows.map(\.id).sorted { ($0 ^ id) < ($1 ^ id) }.prefix(HolderLimits.fellows))
    }
}
