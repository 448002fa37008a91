import Foundation

/// What a text refers to and what of that is not there.
///
/// A reader of a clone has the repository and the public specifications, and nothing else. So a comment may cite a file
/// of this repository (`Specs/wire.md`), a section of one (`Specs/wire.md §4.1`), or what everybody can look up (RFC
/// 8985, EIP-7928). It may not cite anybody's notes, numbered papers or lists.
struct Citations {
    /// Whether the repository has a file or folder at this path below its root.
    let exists: (String) -> Bool
    /// The numbers of the sections of a document, such as `4.1`; nil where there is no such document.
    let sections: (String) -> Set<String>?

    /// Documents that are published elsewhere under these names.
    private static let published: Set<String> = ["discv5-wire.md", "discv5-theory.md", "discv5-rationale.md", "enr.md"]
    /// What may stand before a section's sign in place of a file.
    private let publishers = /\b(RFC|BEP|EIP|ERC|FIPS|Yellow Paper|yellow paper|SEC)\b/

    /// What each line refers to in vain. `own` is the document that a bare `§4` means; nil in a source file.
    func missing(in lines: [String], own: String?) -> [(line: Int, what: String)] {
        var found: [(line: Int, what: String)] = []
        var before = ""
        for (index, line) in lines.enumerated() {
            if Self.hints.contains(where: line.contains) {
                for what in files(in: line, of: own) + outside(line) + sections(in: line, after: before, own: own) {
                    found.append((index + 1, what))
                }
            }
            before = line
        }
        return found
    }

    /// A line without any of these cites nothing: looking for them is a hundred times faster than all patterns.
    private static let hints = [
        ".md", "§", "Sources/", "Tests/", "Specs/", "tools/", ".ci/", "eed", "ssue ", "tem ", " row ", "note", "paper",
        "facts",
    ]

    /// Files and folders that are named and not there.
    private func files(in line: String, of own: String?) -> [String] {
        var vain: [String] = []
        for match in line.matches(of: /[\w.+\/-]*\w\.md\b/) {
            let name = String(match.output)
            if !isThere(name, for: own) { vain.append("\(name) is not in the repository") }
        }
        for match in line.matches(of: /(?:^|[^\w.\/-])((?:Sources|Tests|Specs|tools|\.ci)\/[\w.+\/-]*\w)/) {
            let name = String(match.1)
            if !name.hasSuffix(".md") && !exists(name) { vain.append("\(name) is not in the repository") }
        }
        return vain
    }

    private func isThere(_ document: String, for own: String?) -> Bool {
        let folder = own.map { $0.split(separator: "/").dropLast().joined(separator: "/") + "/" } ?? ""
        let plain = document.split(separator: "/").filter { $0 != ".." && $0 != "." }.joined(separator: "/")
        return exists(plain) || exists(folder + plain) || exists("Specs/" + plain) || exists("Specs/vectors/" + plain)
            || Self.published.contains(plain)
    }

    /// Papers that no reader has.
    private func outside(_ line: String) -> [String] {
        let notes =
            /\b(?:usability|design|protocol|wire|performance|reliability|features|users)[ -](?:notes?|papers?|facts)\b/
        let numbers = /\b(?:[Ss]eeds? 0\d\d|[Ii]ssue \d+|(?:[A-Z]\.\d+ )?(?:[Ii]tem|row) \d+)\b/
        let found = line.matches(of: notes).map(\.output) + line.matches(of: numbers).map(\.output)
        return found.map { "\"\($0)\" is in no document here" }
    }

    /// Sections whose document is not named or has no such section.
    private func sections(in line: String, after before: String, own: String?) -> [String] {
        var vain: [String] = []
        // In a document the sign may be the text of a link, whose target then says which document is meant.
        for match in line.matches(of: /§\s?(\d+(?:\.\d+)*)?(?:\]\(([\w\/.-]+\.md))?/) {
            let text = before.suffix(80) + " " + line[..<match.range.lowerBound]
            let near = String(text.suffix(90))
            let file = near.matches(of: /[\w\/-]*\w\.md\b/).last
            if match.output.2 == nil, let publisher = near.matches(of: publishers).last {
                guard let file, file.range.lowerBound > publisher.range.lowerBound else { continue }
            }
            guard let document = match.output.2.map(String.init) ?? file.map({ String($0.output) }) ?? own else {
                vain.append("a section of no document")
                continue
            }
            // A document that is missing was reported by its name.
            guard let known = sections(document) ?? sections("Specs/" + document) else { continue }
            let number = String(match.output.1 ?? "")
            if !known.contains(number) { vain.append("\(document) has no section \(number)") }
        }
        return vain
    }

    /// The numbers of the headings of a document: `## 4. Values` is 4, `### 4.1 Range` is 4.1.
    static func numbers(ofHeadings lines: [String]) -> Set<String> {
        Set(lines.compactMap { $0.firstMatch(of: /^#+ (\d+(?:\.\d+)*)\b/).map { String($0.1) } })
    }
}
