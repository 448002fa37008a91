import Chain
import Primitives

// Code that accounts of held sections name, as the walk asks for it.
extension WalkPlanner {
    /// Asks for what lacks, section by section, of those who have the section at any final anchor.
    func planCodes(
        _ holdings: Holdings, _ operations: OperationTable, _ chain: some AttestedHeaders, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        guard !holdings.codes.isEmpty, draft.hasRoom else { return }
        var asked = Set<Bytes32>()
        for operation in operations.asks {
            if case .codes(let hashes, _)? = operation.task { asked.formUnion(hashes) }
        }
        for section in holdings.codes.lacking {
            var rest = holdings.codes.of(section).filter { !asked.contains($0) }[...]
            // A section waits for its code: whoever has helped before is likelier to than one that was never asked.
            let isHelped = draft.candidates.contains { peer in
                peer.hasHelped && !peer.isPaused && peer.holds(section, atAny: chain.isFinal)
            }
            while !rest.isEmpty,
                let peer = draft.choose(
                    by: &chooser,
                    where: { (!isHelped || $0.hasHelped) && $0.holds(section, atAny: chain.isFinal) })
            {
                let group = Array(rest.prefix(WalkLimits.codesPerRequest))
                rest = rest.dropFirst(group.count)
                draft.ask(.codes(group, section: section), of: peer)
            }
        }
    }
}
