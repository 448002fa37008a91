import Primitives
import StateStore
import Testing

@testable import StateNetwork

@Suite("Sections begun again") struct DroppedSectionTests {
    private func section(_ index: Int) -> Section { Section(depth: 3, index: index) }

    @Test func thousandsAreOneLineAMinute() {
        var dropped = DroppedSections()
        let nothing = dropped.line(at: .zero)
        #expect(nothing == nil)
        for index in 0..<4_096 { dropped.note(section(index)) }
        let first = dropped.line(at: Instant(microseconds: 1_000_000))
        #expect(first?.contains("4096 sections") == true, "\(first ?? "nothing")")
        for index in 0..<10 { dropped.note(section(index)) }
        var lines: [String] = []
        for second in UInt64(2)...60 {
            if let line = dropped.line(at: Instant(microseconds: second * 1_000_000)) { lines.append(line) }
        }
        #expect(lines == [])
        let second = dropped.line(at: Instant(microseconds: 61_000_000))
        #expect(second?.contains("10 sections") == true && second?.contains("4106 since the start") == true)
        let quiet = dropped.line(at: Instant(microseconds: 200_000_000))
        #expect(quiet == nil)
        dropped.note(section(7))
        let third = dropped.line(at: Instant(microseconds: 201_000_000))
        #expect(third == "section \(section(7)) is begun again: nobody leads on from its anchor")
    }
}
