import Primitives

/// What a must-reject trial is about.
public enum TrialSubject: String, CaseIterable, Sendable {
    /// Leaves of a trie between two keys, with the proofs of both: the verifier itself.
    case trieRange = "trie-range"
    /// The same on the wire: accounts and their storage.
    case stateRange = "state-range"
    case sectionProof = "section-proof"
    case crown
    case sectionDiffs = "section-diffs"
    case blockDiff = "block-diff"
    /// The same of several sections at once, with all storage or with that of some accounts.
    case stretch
    /// A range of one position as the answer to a question.
    case query
}

/// A failure and what repeats it.
public struct TrialFailure: Error, Equatable, Sendable, CustomStringConvertible {
    public let subject: TrialSubject
    /// The seed of the scene; `Trials.scene` with it does the same again.
    public let seed: UInt64
    /// Which mutant of the scene; nil where the scene itself failed.
    public let mutant: Int?
    public let kind: MutationKind?
    public let failure: FuzzFailure

    public var description: String {
        let which = mutant.map { "mutant \($0)" } ?? "the scene"
        return "\(subject.rawValue), seed \(seed), \(which) (\(kind?.rawValue ?? "unchanged")): \(failure)"
    }
}

/// Something true, checked to be accepted, from which mutants are made.
protocol Scene {
    /// Draws the scene; throws where its truth is refused.
    init(_ generator: inout SeededGenerator) throws(FuzzFailure)
    /// Makes one mutant and judges it. nil where the kind has nothing to change here.
    func attempt(_ kind: MutationKind, _ generator: inout some RandomNumberGenerator) throws(FuzzFailure) -> Verdict?
    /// The kinds that mean something here.
    static var kinds: [MutationKind] { get }
}

/// Runs must-reject trials.
public enum Trials {
    /// Mutants of one scene, in number: what it costs to build is shared among them.
    public static let mutantsPerScene = 96

    /// One scene with all its mutants.
    public static func scene(_ subject: TrialSubject, seed: UInt64) throws(TrialFailure) -> Tally {
        switch subject {
        case .trieRange: try run(TrieRangeScene.self, subject, seed)
        case .stateRange: try run(StateRangeScene.self, subject, seed)
        case .sectionProof: try run(SectionProofScene.self, subject, seed)
        case .crown: try run(CrownScene.self, subject, seed)
        case .sectionDiffs: try run(SectionDiffsScene.self, subject, seed)
        case .blockDiff: try run(BlockDiffScene.self, subject, seed)
        case .stretch: try run(StretchScene.self, subject, seed)
        case .query: try run(QueryScene.self, subject, seed)
        }
    }

    /// The seed of scene number `index` of a run that began with `seed`.
    public static func sceneSeed(_ seed: UInt64, _ index: Int) -> UInt64 {
        var generator = SeededGenerator(seed: seed &+ UInt64(truncatingIfNeeded: index) &* 0x9e37_79b9)
        return generator.next()
    }

    private static func run<Subject: Scene>(
        _ type: Subject.Type, _ subject: TrialSubject, _ seed: UInt64
    ) throws(TrialFailure) -> Tally {
        var generator = SeededGenerator(seed: seed)
        let scene: Subject
        do throws(FuzzFailure) {
            scene = try Subject(&generator)
        } catch {
            throw TrialFailure(subject: subject, seed: seed, mutant: nil, kind: nil, failure: error)
        }
        var tally = Tally()
        for index in 0..<mutantsPerScene {
            let kind = Subject.kinds[index % Subject.kinds.count]
            var choices = SeededGenerator(seed: generator.next())
            do throws(FuzzFailure) {
                if let verdict = try scene.attempt(kind, &choices) { tally[kind, verdict] += 1 }
            } catch {
                throw TrialFailure(subject: subject, seed: seed, mutant: index, kind: kind, failure: error)
            }
        }
        return tally
    }
}
