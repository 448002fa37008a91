// Fuzzing: what strangers may send, tried out by the thousand and by the million.
//
// Two kinds of trial stand here, shared by tests and by tools/fuzz.
//
// *Decoders*. A target takes any bytes. It may refuse them with a typed error or accept them; it may not crash, hang or
// take memory that the bytes do not pay for. What it accepts must be written back: decode, encode, decode gives an
// equal value, and where one value has one encoding the bytes are the same. libFuzzer drives these with coverage, the
// tests with seeded bytes and the vectors.
//
// *Must-reject*. A trial takes something true (a range of a trie, a range of a state, a section proof, diffs, a crown),
// checks that it is accepted, makes one change of a named kind, and checks again. A verifier need not refuse every
// change: an allowed node left out, or an end moved over no leaf, leaves a true statement. So the verdict is held
// against the truth, which is computed plainly: from the sorted leaves of a reference trie whose root is the one
// trusted. An accepted mutant that says anything else is a failure.
//
// Everything is a function of a seed: a failure prints the seed of the one trial it arose in, and that seed alone
// repeats it.

import Primitives

/// What fuzzing looks for and hopes not to find.
public enum FuzzFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// A decoder accepted bytes and its encoder writes a value that reads back differently; the text names it.
    case notRoundTrip(String)
    /// A decoder accepted bytes that are not the one encoding of the value.
    case notCanonical(String)
    /// Two readers of the same bytes differ.
    case readersDiffer(String)
    /// Something true and unchanged was refused.
    case truthRefused(String)
    /// Something was accepted that is not so.
    case untruthAccepted(String)
    /// The trial itself could not be set up.
    case setup(String)

    public var description: String {
        switch self {
        case .notRoundTrip(let what): "\(what): what is written reads back as something else"
        case .notCanonical(let what): "\(what): accepted in another form than its one"
        case .readersDiffer(let what): "\(what): two readers differ"
        case .truthRefused(let what): "\(what): something true was refused"
        case .untruthAccepted(let what): "\(what): something was accepted that is not so"
        case .setup(let what): "the trial could not be set up: \(what)"
        }
    }
}

/// Throws `failure` unless `condition` holds.
@inline(__always)
func require(_ condition: Bool, _ failure: @autoclosure () -> FuzzFailure) throws(FuzzFailure) {
    if !condition { throw failure() }
}
