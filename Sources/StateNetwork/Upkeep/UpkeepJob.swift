import Primitives
import StateStore

/// Work on the store that a holder does for itself.
public enum UpkeepJob: Sendable {
    /// What the store takes up; old history is looked for only where that is more than so many bytes.
    case measure(lookingForHistoryAbove: Int)
    /// The oldest history goes, of some sections.
    case dropHistory
    /// A piece of a section outside the arc goes.
    case takeBack(Section)
    /// A piece of a section is read back.
    case scrub(SectionScrub)

    func run(on snapshot: some StoreSnapshot) throws -> UpkeepDone {
        switch self {
        case .measure(let bytes):
            return .measured(try StoreUse.measure(in: snapshot, lookingForHistoryAbove: bytes))
        case .dropHistory:
            var batch = WriteBatch()
            if let number = try StorageRelief.oldHistory(in: snapshot) {
                let batches = try StorageRelief.dropHistory(
                    upTo: number, limit: UpkeepLimits.sectionsPruned, in: snapshot)
                for one in batches { batch.append(one) }
            }
            return .droppedHistory(batch)
        case .takeBack(let section):
            do throws(StoreError) {
                guard let record = try SectionRecord.read(section, in: snapshot) else {
                    return .tookBack(section, WriteBatch(), isAll: true)
                }
                let step = try StateWrites.takeBack(record, leaves: UpkeepLimits.leavesDropped, in: snapshot)
                return .tookBack(section, step.batch, isAll: step.record == nil)
            } catch {
                // What is damaged goes at once: there is no telling where it could be cut.
                guard case .corrupt = error else { throw error }
                return .tookBack(section, StateWrites.dropSection(section), isAll: true)
            }
        case .scrub(var scrub):
            do {
                let isDone = try scrub.step(limit: UpkeepLimits.leavesScrubbed, in: snapshot)
                let codes = scrub.takeDamagedCodes()
                return .scrubbed(scrub, isDone: isDone, codes: codes)
            } catch let error as StoreError {
                // What a table says of itself is damage of this section; what the store's file says is not.
                guard case .corrupt(let table) = error else { throw error }
                return .damaged(scrub.record.section, "the table '\(table)' has a record that none writes")
            } catch {
                return .damaged(scrub.record.section, "\(error)")
            }
        }
    }
}

/// What came of it.
public enum UpkeepDone: Sendable {
    case measured(StoreUse)
    case droppedHistory(WriteBatch)
    /// `isAll`: nothing of the section is left.
    case tookBack(Section, WriteBatch, isAll: Bool)
    /// `codes`: hashes of code that accounts name and that is damaged.
    case scrubbed(SectionScrub, isDone: Bool, codes: [Bytes32])
    /// A section is not what its record says; the text says what was found.
    case damaged(Section, String)
    case moved(ArcMark)

    /// What is to be written before it is true; nil where nothing is.
    var batch: WriteBatch? {
        switch self {
        case .droppedHistory(let batch), .tookBack(_, let batch, _): batch.byteCount > 0 ? batch : nil
        case .scrubbed(let scrub, _, let codes):
            codes.isEmpty ? nil : StateWrites.wantAgain(codes, of: scrub.record.section)
        case .measured, .damaged, .moved: nil
        }
    }
}

/// What is told of a section that is not what its record says.
enum DamageText {
    static func line(_ section: Section, _ what: String) -> String {
        "section \(section) is damaged (\(what)): it is served no more and fetched again"
    }

    static func line(codes: [Bytes32], of section: Section) -> String {
        let first = codes.first.map { $0.short } ?? ""
        return "\(codes.count) codes of section \(section) are damaged, \(first) among them: they are fetched again"
    }
}
