import Foundation
import Testing

/// What reaches users is words, not the names of cases.
@Suite struct ErrorWordTests {
    private let house: House

    init() throws { house = try House.shared() }

    private let declaration = /(?:enum|struct|class) (\w+)(?:<[^>]*>)?: ([\w, ]*\bError\b[\w, ]*)/
    private let conformance = /extension ([\w.]+): [\w, ]*\bCustomStringConvertible\b/

    /// Every type of error describes itself, so that none prints as a case with its parts.
    @Test func everyErrorHasWords() {
        var breaches: [Breach] = []
        var found = 0
        for target in Set(house.sources.map(\.target)) {
            let files = house.sources.filter { $0.target == target && $0.isSwift }
            let described = Set(
                files.flatMap(\.code).compactMap { line in
                    line.firstMatch(of: conformance).flatMap { $0.1.split(separator: ".").last.map(String.init) }
                })
            for file in files {
                for (index, line) in file.code.enumerated() {
                    guard let match = line.firstMatch(of: declaration) else { continue }
                    found += 1
                    let isDescribed =
                        match.2.contains("CustomStringConvertible") || described.contains(String(match.1))
                    if !isDescribed {
                        breaches.append(
                            Breach(path: file.path, line: index + 1, what: "\(match.1) has no description"))
                    }
                }
            }
        }
        #expect(found > 30)
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    /// The one name of a case that is meant: it is part of the store's format.
    private static let meant = ["Sources/Shell/Store/LMDBEnvironment.swift"]

    /// Nobody prints a value by its parts, and where the kind of an error is not known it goes through `ErrorLine`.
    @Test func nothingIsPrintedByItsParts() {
        var breaches: [Breach] = []
        for file in house.sources where file.isSwift {
            for (index, line) in file.code.enumerated() {
                if line.contains("String(describing:") || line.contains("String(reflecting:") {
                    guard !Self.meant.contains(file.path) else { continue }
                    breaches.append(Breach(path: file.path, line: index + 1, what: "printed by its parts"))
                }
                if file.target == "carousel" && file.lines[index].contains("\\(error)") {
                    breaches.append(Breach(path: file.path, line: index + 1, what: "an error not told by ErrorLine"))
                }
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }
}
