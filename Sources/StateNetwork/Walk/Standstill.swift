/// A request that has brought nothing for a while, or that brings something again: whoever was asked may have much to
/// do, or may only have answered to keep us waiting, and neither can be told from the other. The request goes on, and
/// what was set aside for it is free for another: its part of the download limit, and the sections of a diff to an
/// anchor, which somebody else may bring meanwhile. A late answer finds what is still missing, like any second one.
struct Standstill {
    let id: OperationID
    let isStill: Bool

    /// Does nothing about what has been answered.
    func apply(to sync: inout StateSync) {
        guard let operation = sync.operations[id], operation.stage.isAsked, let task = operation.task else { return }
        var givesUpSections = false
        if isStill {
            sync.planner.stands(budgeted: operation.budgeted)
            if case .diffs(_, _, .anchor) = task, !operation.sections.isEmpty { givesUpSections = true }
        }
        if givesUpSections { operation.unlock(&sync) }
        sync.operations.stands(id, still: isStill, givingUpSections: givesUpSections)
    }
}
