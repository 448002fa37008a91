import Primitives

/// When a peer may be asked for state again, by how the requests to it ended.
struct AskingPace: Sendable {
    /// Failures in a row; each doubles the pause.
    private var failures = 0
    /// Not asked before this.
    private(set) var pausedUntil = Instant.zero
    /// Whether the last word of the peer, asked for state, was that it is busy.
    private(set) var saidBusy = false

    mutating func ended(_ task: WalkTask, _ outcome: AskOutcome, at now: Instant) {
        // A crown or a code is given by many who have no room for more.
        if !task.sections.isEmpty, outcome != .aborted { saidBusy = if case .busy = outcome { true } else { false } }
        switch outcome {
        case .done: failures = 0
        // Who is busy for no time at all would be asked again at once, and, being quick about it, before all others.
        case .busy(let wait): pausedUntil = now + max(wait, WalkLimits.refusalPause)
        case .refused, .notKnown: pausedUntil = now + WalkLimits.refusalPause
        case .tooLarge:
            // Ranges are asked for instead.
            if case .sections = task { return }
            // A larger range is asked for at once; but one that says so of every size is not asked without end.
            if case .range(_, _, _, _, let maxBytes) = task, maxBytes < WalkLimits.rangeBytesMaximum { return }
            pausedUntil = now + WalkLimits.refusalPause
        case .failed, .invalid:
            failures = min(failures + (outcome == .invalid ? 4 : 1), 8)
            pausedUntil = now + min(WalkLimits.backoff * (1 << failures), WalkLimits.backoffMaximum)
        case .tooOld, .lacksPart, .aborted: break
        }
    }
}
