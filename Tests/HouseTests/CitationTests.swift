import Foundation
import Testing

/// What is cited is there: in comments, in strings, in scripts and in the documents themselves.
@Suite struct CitationTests {
    private let house: House
    private let citations: Citations

    init() throws {
        let house = try House.shared()
        self.house = house
        citations = Citations(
            exists: { FileManager.default.fileExists(atPath: house.root.appendingPathComponent($0).path) },
            sections: { name in
                house.documents.first { $0.path == name }.map { Citations.numbers(ofHeadings: $0.lines) }
            })
    }

    @Test func whatSourcesCiteIsThere() throws {
        var breaches: [Breach] = []
        let scripts = try House.files(house.root, "tools", extensions: ["", "sh", "py"])
        for file in house.sources + house.tests + scripts where file.target != "HouseTests" {
            let isScript = file.path.hasPrefix("tools/")
            // Of a script its comments: in its commands names are put together from parts.
            let text =
                file.isSwift ? file.prose : file.lines.map { $0.hasPrefix("#") || !isScript ? $0 : "" }
            for (line, what) in citations.missing(in: text, own: nil) {
                breaches.append(Breach(path: file.path, line: line, what: what))
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    @Test func whatDocumentsCiteIsThere() {
        var breaches: [Breach] = []
        for file in house.documents {
            for (line, what) in citations.missing(in: file.lines, own: file.path) {
                breaches.append(Breach(path: file.path, line: line, what: what))
            }
        }
        #expect(house.documents.count > 8)
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    /// Links of one document to another lead somewhere, headings included.
    @Test func linksLeadSomewhere() {
        var breaches: [Breach] = []
        var found = 0
        for file in house.documents {
            for (index, line) in file.lines.enumerated() {
                for match in line.matches(of: /\]\(([^)\s]+)\)/) where !match.1.contains("://") {
                    found += 1
                    let parts = match.1.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
                    if let what = fault(of: String(parts[0]), heading: parts.dropFirst().first, in: file) {
                        breaches.append(Breach(path: file.path, line: index + 1, what: what))
                    }
                }
            }
        }
        #expect(found > 10)
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    private func fault(of target: String, heading: Substring?, in file: SourceText) -> String? {
        let url = target.isEmpty ? file.url : file.url.deletingLastPathComponent().appendingPathComponent(target)
        guard FileManager.default.fileExists(atPath: url.path) else { return "\(target) is not there" }
        guard let heading else { return nil }
        let document = house.documents.first { $0.url.standardizedFileURL == url.standardizedFileURL }
        let anchors = document?.lines.filter { $0.hasPrefix("#") }.map(Self.anchor) ?? []
        return anchors.contains(String(heading)) ? nil : "\(target) has no heading #\(heading)"
    }

    /// The name that a heading has in a link.
    private static func anchor(_ heading: String) -> String {
        let words = heading.drop { $0 == "#" || $0 == " " }.lowercased()
        return String(words.compactMap { $0 == " " ? "-" : $0.isLetter || $0.isNumber || "-_".contains($0) ? $0 : nil })
    }

    // MARK: The tools

    private let sample = Citations(
        exists: { ["README.md", "Specs/wire.md", "Sources/Node", "tools/demo"].contains($0) },
        sections: { $0 == "Specs/wire.md" ? ["1", "4.1"] : nil })

    private func missing(_ lines: String..., own: String? = nil) -> [String] {
        sample.missing(in: lines, own: own).map { "\($0.line): \($0.what)" }
    }

    @Test func whatIsThereMayBeCited() {
        #expect(missing("See README.md, Specs/wire.md, `wire.md` and ../README.md.") == [])
        #expect(missing("Source: wire.md §4.1; Specs/wire.md §1, RFC 8985 §6 and BEP 29.") == [])
        #expect(missing("The rule stands in Specs/wire.md", "§4.1.") == [])
        #expect(missing("See §4.1 and [§1](wire.md#1-x).", own: "Specs/wire.md") == [])
        #expect(missing("tools/demo runs Sources/Node, data.mdb, discv5-wire.md; a seed of 4, 12 items, H.264") == [])
    }

    @Test func whatIsNotThereIsFound() {
        #expect(missing("x", "Source: protocol.md §7") == ["2: protocol.md is not in the repository"])
        #expect(missing("Source: §7") == ["1: a section of no document"])
        #expect(missing("Source: wire.md §7") == ["1: wire.md has no section 7"])
        #expect(missing("Source: wire.md §") == ["1: wire.md has no section "])
        #expect(missing("§2", own: "Specs/wire.md") == ["1: Specs/wire.md has no section 2"])
        #expect(missing("[§9](Specs/wire.md#9-x)", own: "README.md") == ["1: Specs/wire.md has no section 9"])
        #expect(missing("as tools/demos do") == ["1: tools/demos is not in the repository"])
        #expect(missing("Sources/Node/Node.swift.") == ["1: Sources/Node/Node.swift is not in the repository"])
        #expect(missing("the project's seed 004") == ["1: \"seed 004\" is in no document here"])
        #expect(missing("D.3 item 7: holders") == ["1: \"D.3 item 7\" is in no document here"])
        #expect(missing("(usability notes: 8 s)") == ["1: \"usability notes\" is in no document here"])
        #expect(missing("(features A.1 row 8)") == ["1: \"A.1 row 8\" is in no document here"])
        #expect(missing("since issue 11") == ["1: \"issue 11\" is in no document here"])
    }

    @Test func proseIsWhatIsNoCode() throws {
        #expect(SourceText.prose(["a // b.md"], code: ["a        "]) == ["  // b.md"])
        #expect(Citations.numbers(ofHeadings: ["# A", "## 4. B", "### 4.1 C", "text 5"]) == ["4", "4.1"])
        #expect(Self.anchor("## 1.1 discv5.1: `a` node's") == "11-discv51-a-nodes")
    }
}
