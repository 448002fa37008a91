/// What losses say: how much of it is the link's own (*background*), and what is more than chance.
struct LossRecord: Sendable {
    /// Packets; under this a share of lost ones says little.
    static let shortRound = 40
    /// Loss above this is never taken for the link's own.
    private static let backgroundMaximum = 0.35
    private static let recentWeight = 1.0 / 128

    /// The share that is lost whatever we do.
    private(set) var background = 0.0
    /// Share of the last hundred packets or so.
    private(set) var recent = 0.0
    /// Of rounds too short to be judged alone.
    private var earlier = (delivered: 0, lost: 0)
    /// The first number sent after the last cut.
    private var answered = 0

    /// A packet was lost that had this number. False for one sent before the last cut, which says nothing new: what
    /// made it be lost has been answered, however late it is found out.
    mutating func lost(number: Int) -> Bool {
        recent += (1 - recent) * LossRecord.recentWeight
        return number >= answered
    }

    mutating func delivered(_ count: Int) {
        recent = max(0, recent - recent * LossRecord.recentWeight * Double(count))
    }

    // MARK: Judging a round

    /// The counts of this round and of those before it that were too short; nil while all together still are.
    mutating func gather(_ round: Round) -> (delivered: Int, lost: Int)? {
        let (delivered, lost) = (round.delivered + earlier.delivered, round.lost + earlier.lost)
        guard delivered + lost >= LossRecord.shortRound || LossRecord.isRuinous(delivered, lost) else {
            earlier = (delivered, lost)
            return nil
        }
        forgetShortRounds()
        return (delivered, lost)
    }

    mutating func forgetShortRounds() { earlier = (0, 0) }

    /// Whether more was lost than arrived.
    static func isRuinous(_ delivered: Int, _ lost: Int) -> Bool { lost >= 5 && lost > delivered }

    /// Whether more is lost than the background.
    func isUnusual(_ lost: Int, of total: Double) -> Bool {
        Double(lost) > (background > 0 ? total * 1.5 * background + 2 : 0)
    }

    /// Whether so many losses may be chance: twice the deviation of independent losses.
    func isChance(_ lost: Int, of total: Double, isGrowing: Bool) -> Bool {
        let expected = total * max(1.5 * background, isGrowing ? 0.15 : 0.01)
        return Double(lost) <= expected + max(2, 2 * expected.squareRoot())
    }

    /// A cut was made: what was sent before it counts no more.
    mutating func answer(next: Int) { answered = next }

    // MARK: The background

    /// A cut changed nothing: so much is the link's own.
    mutating func raiseBackground(to share: Double) {
        background = max(background, min(share, LossRecord.backgroundMaximum))
    }

    /// A cut helped: no more than this is the link's own.
    mutating func lowerBackground(to share: Double) { background = min(background, share) }

    /// A round without a cut. Only a cut that changed nothing raises the background: loss at a growing window may well
    /// be the window's own.
    mutating func fadeBackground(towards share: Double) {
        if share < background { background += (share - background) / 32 }
        if background < 0.002 { background = 0 }
    }
}
