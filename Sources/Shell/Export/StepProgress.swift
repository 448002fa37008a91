import Foundation
import Primitives

/// Lines on standard error that tell how far a long step is: the first after some seconds, so that a short one says
/// nothing.
struct StepProgress {
    private let clock = SystemClock()
    private var next: Instant
    private let write: (String) -> Void

    /// `write` takes a line without its end.
    init(_ write: @escaping (String) -> Void = StepProgress.standardError) {
        next = clock.instant() + .seconds(ShellLimits.progressLineSeconds)
        self.write = write
    }

    /// Says where it is, where it is time for it.
    mutating func tell(_ line: () -> String) {
        let now = clock.instant()
        guard now >= next else { return }
        next = now + .seconds(ShellLimits.progressLineSeconds)
        write(line())
    }

    /// "61.7 %", rounded down: 100 % is said of what is whole.
    static func percent(_ part: Int, of all: Int) -> String {
        let thousandths = all == 0 ? 0 : part * 1_000 / all
        return "\(thousandths / 10).\(thousandths % 10) %"
    }

    static func standardError(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
