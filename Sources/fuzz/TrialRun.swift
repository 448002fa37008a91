import Fuzzing
import Glibc

/// Must-reject trials until a number of mutants or of seconds is reached.
struct TrialRun {
    private var seed: UInt64
    private var mutations = 100_000
    private var seconds: Int?
    private var subjects = TrialSubject.allCases
    /// One scene again, by the seed that its failure printed.
    private var isReplay = false

    /// Seconds between two lines of progress.
    private static let progressSeconds = 60

    /// Reads --seed N, --mutations M, --seconds S, --subject NAME, --replay.
    init(_ arguments: [String]) throws(UsageError) {
        seed = UInt64(Glibc.time(nil))
        var words = arguments[...]
        while let word = words.popFirst() {
            if word == "--replay" {
                isReplay = true
                continue
            }
            guard let value = words.popFirst() else { throw .option(word) }
            switch word {
            case "--seed":
                guard let number = UInt64(value) else { throw .option("\(word) \(value)") }
                seed = number
            case "--mutations":
                guard let number = Int(value), number > 0 else { throw .option("\(word) \(value)") }
                mutations = number
            case "--seconds":
                guard let number = Int(value), number > 0 else { throw .option("\(word) \(value)") }
                seconds = number
            case "--subject":
                guard let subject = TrialSubject(rawValue: value) else { throw .option("\(word) \(value)") }
                subjects = [subject]
            default: throw .option(word)
            }
        }
    }

    func run() -> Int32 {

        print("seed \(seed)")
        var tallies = [Tally](repeating: Tally(), count: subjects.count)
        var failures = 0
        let start = Glibc.time(nil)
        var reported = start
        var scene = 0
        while true {
            for (place, subject) in subjects.enumerated() {
                do throws(TrialFailure) {
                    let number = isReplay ? seed : Trials.sceneSeed(seed, scene)
                    tallies[place] += try Trials.scene(subject, seed: number)
                } catch {
                    failures += 1
                    print("FAILED \(error)")
                    print("  again: tools/fuzz --replay --subject \(subject.rawValue) --seed \(error.seed)")
                }
            }
            scene += 1
            let total = tallies.reduce(0) { $0 + $1.total }
            let now = Glibc.time(nil)
            if now - reported >= Self.progressSeconds {
                reported = now
                print("\(total) mutants, \(failures) failures, \(now - start) s")
                fflush(nil)
            }
            let isDone = seconds.map { now - start >= $0 } ?? (total >= mutations)
            if isDone || isReplay || failures >= 20 { break }
        }
        report(tallies, failures: failures, seconds: Glibc.time(nil) - start)
        return failures == 0 ? 0 : 1
    }

    private func report(_ tallies: [Tally], failures: Int, seconds: Int) {
        for (subject, tally) in zip(subjects, tallies) where tally.total > 0 {
            print("\n" + Self.row(subject.rawValue, "refused", "still true"))
            for kind in tally.kinds {
                print(Self.row("  " + kind.rawValue, "\(tally[kind, .refused])", "\(tally[kind, .stillTrue])"))
            }
        }
        let total = tallies.reduce(0) { $0 + $1.total }
        print("\n\(total) mutants in \(seconds) s, \(failures) failures, seed \(seed)")
    }

    private static func row(_ name: String, _ columns: String...) -> String {
        let padded = name + String(repeating: " ", count: max(1, 26 - name.count))
        return padded + columns.map { String(repeating: " ", count: max(1, 12 - $0.count)) + $0 }.joined()
    }
}
