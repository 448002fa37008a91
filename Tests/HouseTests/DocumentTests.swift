import Foundation
import Testing

/// What the documents name is declared: types in the glossary, tests in the page on security, targets in the README.
@Suite struct DocumentTests {
    private let house: House

    init() throws { house = try House.shared() }

    private func document(_ path: String) throws -> SourceText {
        try #require(house.documents.first { $0.path == path }, "\(path) is missing")
    }

    @Test func layoutPageListsEveryTarget() throws {
        let rows = try document("README.md").lines.filter { $0.hasPrefix("|") }
        for target in house.targets where target.floor != nil {
            let isListed = rows.contains { $0.contains("`\(target.name)`") }
            #expect(isListed, "the layout in README.md has no line for \(target.name)")
        }
    }

    /// Each term once, and each type that it is shown by declared in the sources.
    @Test func theGlossaryNamesWhatThereIs() throws {
        let declared = Set(house.sources.flatMap { house.declarations[$0.path]?.parts.map(\.name) ?? [] })
        let path = "Specs/glossary.md"
        var terms: Set<String> = []
        var types = 0
        for (index, line) in try document(path).lines.enumerated() where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard let term = cells.first, term != "term" else { continue }
            #expect(terms.insert(term).inserted, "\(path):\(index + 1): \(term) has two lines")
            for match in cells.last?.matches(of: /`(\w+(?:\.\w+)*)`/) ?? [] {
                types += 1
                let name = String(match.1)
                #expect(declared.contains(name), "\(path):\(index + 1): no type is called \(name)")
            }
        }
        #expect(terms.count > 100)
        #expect(types > 50)
    }

    /// Tests are named as `Suite.test` in documents.
    @Test func testsThatAreNamedExist() throws {
        let tests = house.tests.filter(\.isSwift)
        var found = 0
        for file in house.documents {
            for (index, line) in file.lines.enumerated() {
                for match in line.matches(of: /`(\w+Tests)\.(\w+)`/) {
                    found += 1
                    let (suite, test) = (String(match.1), String(match.2))
                    let exists = tests.contains { file in
                        file.code.contains { $0.contains("struct \(suite)") }
                            && file.code.contains { $0.contains("func \(test)(") }
                    }
                    #expect(exists, "\(file.path):\(index + 1): there is no test \(suite).\(test)")
                }
            }
        }
        #expect(found > 30)
    }

    /// Every reason of a stall has a line in the page of the status and an entry in the guide, and no other is there.
    @Test func theReasonsOfAStallAreListed() throws {
        let path = "Sources/StateNetwork/Status/Stall.swift"
        let source = try #require(house.sources.first { $0.path == path }, "\(path) is missing").lines
        let named = source.compactMap { $0.firstMatch(of: /case \.\w+: "([a-z_]+)"$/).map { String($0.1) } }
        let page = try document("Specs/status.md").lines
        let start = try #require(page.firstIndex(of: "## Reasons of a stall"))
        let listed = page[start...].compactMap { $0.firstMatch(of: /^\| `([a-z_]+)` \|/).map { String($0.1) } }
        #expect(named.count >= 15 && Set(named).count == named.count)
        #expect(named.sorted() == listed.sorted())
        let entries = try document("Specs/guide/when-it-stalls.md").lines.compactMap {
            $0.firstMatch(of: /^## `([a-z_]+)`$/).map { String($0.1) }
        }
        #expect(named.sorted() == entries.sorted())
    }
}
