import Foundation

/// The outcomes of one vector file.
public struct VectorFileReport: Sendable {
    /// The path as it was given, or as found in a given folder.
    public let path: String
    public let outcomes: [CaseOutcome]

    /// The file's name without its folders.
    public var file: String { URL(fileURLWithPath: path).lastPathComponent }

    /// Cases that passed.
    public var passed: Int { outcomes.count { $0.result == .passed } }
    /// Cases in which either verdict is right.
    public var policy: Int { outcomes.count { $0.result == .policy } }
    /// Cases that failed.
    public var failed: Int { failures.count }
    /// Cases that were not run.
    public var skipped: Int { skips.count }

    /// Failed cases in order, with the reasons.
    public var failures: [(name: String, why: String)] {
        outcomes.compactMap { outcome in
            guard case .failed(let why) = outcome.result else { return nil }
            return (outcome.name, why)
        }
    }

    /// Cases not run, with the reasons.
    public var skips: [(name: String, why: String)] {
        outcomes.compactMap { outcome in
            guard case .skipped(let why) = outcome.result else { return nil }
            return (outcome.name, why)
        }
    }
}

/// What a run over paths found: ready to be printed.
public struct ConformanceReport: Sendable {
    public fileprivate(set) var files: [VectorFileReport] = []
    /// Paths that could not be run (missing, no JSON, a kind that is not known) and why.
    public fileprivate(set) var refused: [(path: String, why: String)] = []

    /// 0: everything passed; 1: a case failed; 2: a file was not known or could not be read, whatever else happened.
    public var exitCode: Int32 {
        if !refused.isEmpty { return 2 }
        return files.contains { $0.failed > 0 } ? 1 : 0
    }

    /// The text form for standard output: a line of counts a file, its failures below it.
    public var lines: [String] {
        files.flatMap { report in
            let counts =
                "\(report.file) passed=\(report.passed) failed=\(report.failed) "
                + "policy=\(report.policy) skipped=\(report.skipped)"
            return [counts] + report.failures.map { "FAIL \(report.file) \($0.name): \($0.why)" }
        }
    }

    /// The text form for standard error: one line for each path that was refused.
    public var complaints: [String] { refused.map { "\($0.path): \($0.why)" } }

    /// The same facts as one JSON document.
    public var json: JSONValue {
        func entries(_ list: [(name: String, why: String)]) -> JSONValue {
            .array(list.map { .object(["case": .string($0.name), "why": .string($0.why)]) })
        }
        let files = files.map { report in
            JSONValue.object([
                "file": .string(report.file), "passed": .integer(Int64(report.passed)),
                "failed": .integer(Int64(report.failed)), "policy": .integer(Int64(report.policy)),
                "skipped": .integer(Int64(report.skipped)), "failures": entries(report.failures),
                "skips": entries(report.skips),
            ])
        }
        let refused = refused.map {
            JSONValue.object(["path": .string($0.path), "why": .string($0.why)])
        }
        return .object(["files": .array(files), "refused": .array(refused)])
    }

    /// `json` as text, keys sorted.
    public func jsonText() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(json), as: UTF8.self)
    }
}

/// Runs vector files against the suites.
public enum ConformanceRunner {
    /// Runs each path: a vector file, or a folder whose `*.json` files are all run in the order of their names.
    public static func run(paths: [String]) -> ConformanceReport {
        var report = ConformanceReport()
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                report.refused.append((path, "no such file or folder"))
                continue
            }
            if isFolder.boolValue {
                runFolder(path, into: &report)
            } else {
                runFile(path, into: &report)
            }
        }
        return report
    }

    private static func runFolder(_ path: String, into report: inout ConformanceReport) {
        do {
            let names = try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".json") }
            if names.isEmpty { report.refused.append((path, "no vector file (*.json) in this folder")) }
            for name in names.sorted() {
                runFile(URL(fileURLWithPath: path).appendingPathComponent(name).path, into: &report)
            }
        } catch {
            report.refused.append((path, "the folder cannot be read: \(error.localizedDescription)"))
        }
    }

    private static func runFile(_ path: String, into report: inout ConformanceReport) {
        let name = URL(fileURLWithPath: path).lastPathComponent
        guard let suite = VectorSuites.suite(of: name) else {
            let known = VectorSuites.all.map { $0.fileName }.sorted().joined(separator: ", ")
            report.refused.append((path, "not a kind of vector file known here; the name must be one of \(known)"))
            return
        }
        let document: JSONValue
        do {
            document = try JSONValue(parsing: try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            report.refused.append((path, "not readable as JSON: \(error.localizedDescription)"))
            return
        }
        do {
            report.files.append(VectorFileReport(path: path, outcomes: try suite.run(document)))
        } catch {
            // The file is of a known kind but not in its shape: nothing in it could be judged.
            report.files.append(
                VectorFileReport(
                    path: path, outcomes: [CaseOutcome(name: "-", result: .failed(VectorError.text(error)))]))
        }
    }
}
