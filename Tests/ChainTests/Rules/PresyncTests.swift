import Chain
import ChainLab
import Primitives
import Testing

/// Lines that come twice before anything of them is kept.
@Suite struct PresyncTests {
    private let salt = Bytes32(1, 2, 3, 4)

    private func presync(_ lab: WorkLab, moreThan threshold: UInt128) -> Presync {
        Presync(
            lab.rule, above: lab.genesis.point, WorkStanding(checkpoint: lab.genesis), moreThan: threshold, salt: salt)
    }

    /// Feeds a line in runs; gives the last step and what came out.
    private func feed(
        _ presync: inout Presync, _ line: [CertifiedHeader], runs: Int = 100
    ) throws -> (step: Presync.Step?, released: [BlockHeader]) {
        var released: [BlockHeader] = []
        var step: Presync.Step?
        for start in stride(from: 0, to: line.count, by: runs) {
            let run = line[start..<min(start + runs, line.count)].map(\.header)
            step = try presync.take(run, at: .max, released: &released)
        }
        return (step, released)
    }

    @Test(arguments: [1, 2, 63, 64, 65, 300]) func allOfALineComesOutTheSecondTime(count: Int) throws {
        let lab = try WorkLab(difficulty: 2)
        var branch = lab.branch
        try branch.grow(count)
        // Two for each block, and the last one makes it.
        var presync = presync(lab, moreThan: 2 * UInt128(count) - 1)
        let first = try feed(&presync, branch.entries)
        #expect(first.step == .again(from: 1) && first.released.isEmpty && presync.end == branch.last.point)
        #expect(presync.byteCount <= (count / 32 + 1) * 8 * 2)
        let second = try feed(&presync, branch.entries, runs: 37)
        #expect(second.step == .done && second.released == branch.entries.map(\.header))
    }

    @Test func aLineWithTooLittleWorkIsNeverKept() throws {
        let lab = try WorkLab(difficulty: 2)
        var branch = lab.branch
        try branch.grow(500)
        var presync = presync(lab, moreThan: 1_000)
        let (step, released) = try feed(&presync, branch.entries)
        #expect(step == .goOn(from: 501) && released.isEmpty && presync.work == 1_000)
    }

    /// Another line the second time, wherever it begins to differ: before anything of it comes out.
    @Test(arguments: [0, 1, 50, 180, 198, 199]) func anotherLineTheSecondTimeIsFound(from place: Int) throws {
        let lab = try WorkLab(difficulty: 2)
        var branch = lab.branch
        try branch.grow(200)
        var presync = presync(lab, moreThan: 399)
        _ = try feed(&presync, branch.entries)
        var other = lab.branch
        try other.grow(place)
        try other.grow(400 - place, salt: 9)
        var released: [BlockHeader] = []
        var failure: ChainError?
        for entry in other.entries where failure == nil {
            do throws(ChainError) {
                _ = try presync.take([entry.header], at: .max, released: &released)
            } catch {
                failure = error
            }
        }
        guard case .work(.notAsBefore(let number))? = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        // Each header gives itself away three times in four.
        #expect(number > UInt64(place) && number < UInt64(place) + 16)
        #expect(released.allSatisfy { $0.number <= UInt64(place) })
    }

    @Test func aLineThatIsShorterTheSecondTimeGivesNothingMore() throws {
        let lab = try WorkLab(difficulty: 2)
        var branch = lab.branch
        try branch.grow(200)
        var presync = presync(lab, moreThan: 399)
        _ = try feed(&presync, branch.entries)
        let (step, released) = try feed(&presync, Array(branch.entries[..<150]))
        #expect(step == .goOn(from: 151) && released.count == 150 - 64)
    }

    @Test func everyHeaderIsJudgedBothTimes() throws {
        let lab = try WorkLab()
        var branch = lab.branch
        try branch.grow(20)
        var fields = branch[10].header.fields
        fields.difficulty = UInt256(2)
        let bad = try BlockHeader(fields)
        for isSecond in [false, true] {
            var presync = presync(lab, moreThan: 159)
            if isSecond { _ = try feed(&presync, branch.entries) }
            var released: [BlockHeader] = []
            #expect(throws: ChainError.work(.difficulty(number: 10, expected: 8, found: UInt256(2)))) {
                _ = try presync.take(branch.entries[..<9].map(\.header) + [bad], at: .max, released: &released)
            }
            #expect(released.isEmpty)
        }
        var presync = presync(lab, moreThan: 159)
        var released: [BlockHeader] = []
        #expect(throws: ChainError.unknownParent(number: 2, parentHash: branch[1].header.hash)) {
            _ = try presync.take([branch[2].header], at: .max, released: &released)
        }
    }
}
