// What this project is fast at, and how fast: workloads with names, so that figures can be set beside a peer's.
//
// Terms
//
//   workload  something worth measuring (`Workload`): it has a name, says what one item is, and makes itself ready.
//   trial     a workload made ready for a number of threads (`Trial`). It can be run any number of times; every run
//             does the same work.
//   run       one execution from start to end, timed as a whole. What has to be put back afterwards is not timed.
//   result    the median over the runs, with the counts of one run (`BenchResult`).
//   material  what several workloads need and what is dear to make: a million leaves, a store that holds them
//             (`BenchMaterial`). Made when first asked for.
//
// Picture
//
//   names ──▶ BenchRunner ──▶ workload.prepare(material, threads) ──▶ trial ──▶ run, put back, run, put back …
//                                                                                  └──▶ median ──▶ table or JSON
//
// Invariants
//
//   · A workload is the same in every process and on every machine: keys and values follow from counters, changes from
//     a seed that stands in the code. Only the time differs.
//   · A run that gives a wrong result is an error, not a figure: roots are compared with the ones known for the
//     workload, verifiers must accept.
//   · Bytes are those a reader would count: what is hashed, the leaves' keys and values, what is served or sent.
//   · On one thread and, where the work can be spread, on all: two results of one name.
//   · What is measured is the program that is shipped, on the C library's malloc. Heap requests are counted where a
//     counter was loaded before it (`HeapCounter`; `tools/bench` does that), and are a dash elsewhere, never 0.
//
// The trie workloads are the ones other clients were measured with: key i is keccak256 of i as eight bytes, big endian;
// its value the RLP of the account [i, i·10^15, root of the empty trie, hash of no code].
//
// Why not otherwise
//
//   · Why the median of whole runs and no statistics of single operations: a clock read costs as much as a short
//     operation; a trial does enough of them to be long.
//   · Why the world's target is imported (`Shell`): a store that is not the real one says nothing of the real one.

import Primitives

/// All workloads, in the order in which they are run and listed.
public enum Workloads {
    /// Every workload there is.
    public static var all: [any Workload] { hashing + headers + senders + batches + tries + store + network }

    /// The workloads of these names, in the order of the list; for no names all that do not take long. A name followed
    /// by a dot and a star stands for all that begin so.
    public static func named(_ names: [String]) throws(BenchError) -> [any Workload] {
        guard !names.isEmpty else { return all.filter { !$0.onlyByName } }
        for name in names where !all.contains(where: { matches($0.name, name) }) { throw .unknownWorkload(name) }
        return all.filter { workload in names.contains { matches(workload.name, $0) } }
    }

    /// The Keccak kernel of that name. Throws where there is none, or this machine cannot run it.
    public static func kernel(named name: String) throws(BenchError) -> Keccak.Kernel {
        guard let kernel = Keccak.Kernel.allCases.first(where: { "\($0)" == name && $0.isAvailable }) else {
            throw .noKernel(name)
        }
        return kernel
    }

    private static func matches(_ name: String, _ wanted: String) -> Bool {
        wanted.hasSuffix(".*") ? name.hasPrefix(wanted.dropLast()) : name == wanted
    }
}

/// Why a measurement gives no figure.
public enum BenchError: Error, Equatable, CustomStringConvertible {
    /// No workload has this name.
    case unknownWorkload(String)
    /// No Keccak kernel has this name, or this machine cannot run it.
    case noKernel(String)
    /// The workload gave something else than it must.
    case wrongResult(workload: String, what: String)

    public var description: String {
        switch self {
        case .unknownWorkload(let name):
            "no workload is called '\(name)'; there are: \(Workloads.all.map(\.name).joined(separator: ", "))"
        case .noKernel(let name):
            "this machine has no kernel '\(name)'; it has: "
                + Keccak.Kernel.allCases.filter(\.isAvailable).map { "\($0)" }.joined(separator: ", ")
        case .wrongResult(let workload, let what): "\(workload): \(what)"
        }
    }
}
