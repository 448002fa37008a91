import Foundation
import StateStore

/// Whether a store's file is whole, found out by reading it: a map of a file that was cut ends the process where a page
/// of it is touched that is not there.
///
/// LMDB's file is pages. The first two name the roots of the trees and the last page ever used, each for every other
/// transaction. A file that ends before that page need not be cut, though: pages taken and let go in the same
/// transaction are never written. Then the trees are walked.
struct StoreFile {
    static let name = "data.mdb"

    private let descriptor: Int32
    private var size: UInt64
    private var pageSize: UInt64 = 0

    // Places in a page, in bytes. Source: LMDB 0.9, MDB_page, MDB_meta, MDB_db and MDB_node, on 64-bit systems.
    private static let headerBytes = 16
    private static let metaMagic = 16
    private static let metaDatabases = 40
    private static let metaLastPage = 136
    private static let metaTransaction = 144
    private static let databaseBytes = 48
    private static let magic: UInt64 = 0xbeef_c0de
    private static let noPage = UInt64.max
    private static let pageSizes: ClosedRange<UInt64> = 512...65_536

    private struct Tree {
        let root: UInt64
        let depth: Int
        let hasOverflow: Bool

        /// Read at `offset` of a page.
        init(_ page: [UInt8], at offset: Int) {
            depth = Int(StoreFile.number(page, offset + 6, 2))
            hasOverflow = StoreFile.number(page, offset + 24, 8) > 0
            root = StoreFile.number(page, offset + 40, 8)
        }
    }

    /// Throws where the file in `directory` is cut, emptied or none of the library's. `hadStore`: a store was there
    /// before, so that an empty place is a loss and no beginning. Without that, what a crash left of a first start is
    /// made an empty file again, if something may begin here, and else is no store.
    static func check(in directory: String, hadStore: Bool, mayBegin: Bool = true) throws(StoreError) {
        let path = directory + "/" + name
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw .system(code: errno, operation: "open \(name)") }
            if hadStore { throw .damagedFile("\(name) is gone") }
            return
        }
        defer { close(descriptor) }
        let file = StoreFile(descriptor: descriptor, size: try size(of: descriptor))
        do throws(StoreError) {
            guard file.size >= 2 * pageSizes.lowerBound else {
                throw .damagedFile("\(name) is \(file.size == 0 ? "empty" : "cut")")
            }
            try file.check(isBeingWritten: !mayBegin && isBeingWritten(directory))
        } catch {
            // What is larger than the first two pages was begun, whether that was noted or not.
            guard case .damagedFile = error, !hadStore, file.size <= 2 * UInt64(getpagesize()) else { throw error }
            guard mayBegin else { throw .missing }
            if truncate(path, 0) != 0 { throw .system(code: errno, operation: "clear \(name)") }
        }
    }

    private init(descriptor: Int32, size: UInt64) {
        self.descriptor = descriptor
        self.size = size
    }

    private static func size(of descriptor: Int32) throws(StoreError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(code: errno, operation: "look at \(name)") }
        return UInt64(max(0, status.st_size))
    }

    /// Whether another process has the store open for writing.
    private static func isBeingWritten(_ directory: String) -> Bool {
        let lock = open(directory + "/" + LMDBEnvironment.lockFileName, O_RDONLY | O_CLOEXEC)
        guard lock >= 0 else { return false }
        defer { close(lock) }
        return flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// `isBeingWritten`: the trees change while they are looked at, so they are left to the one who writes, who looked
    /// at them when he began.
    private func check(isBeingWritten: Bool) throws(StoreError) {
        let first = try bytes(at: 0, count: 512)
        var file = self
        file.pageSize = StoreFile.number(first, StoreFile.metaDatabases, 4)
        guard StoreFile.number(first, StoreFile.metaMagic, 4) == StoreFile.magic,
            StoreFile.pageSizes.contains(file.pageSize), file.pageSize.nonzeroBitCount == 1
        else { throw .damagedFile("the first page of \(StoreFile.name) is not its own") }
        let second = try file.bytes(at: file.pageSize, count: 512)
        guard StoreFile.number(second, StoreFile.metaMagic, 4) == StoreFile.magic else {
            throw .damagedFile("the second page of \(StoreFile.name) is not its own")
        }
        let ages = [first, second].map { StoreFile.number($0, StoreFile.metaTransaction, 8) }
        let meta = ages[1] > ages[0] ? second : first
        let last = StoreFile.number(meta, StoreFile.metaLastPage, 8)
        // Only now: pages are written before what names them.
        file.size = try StoreFile.size(of: descriptor)
        guard last >= file.pages, !isBeingWritten else { return }
        try file.walk([
            Tree(meta, at: StoreFile.metaDatabases),
            Tree(meta, at: StoreFile.metaDatabases + StoreFile.databaseBytes),
        ])
    }

    /// Whole pages in the file.
    private var pages: UInt64 { size / pageSize }

    /// Looks at every page that the trees need.
    private func walk(_ trees: [Tree]) throws(StoreError) {
        var trees = trees
        while let tree = trees.popLast() {
            guard tree.root != StoreFile.noPage else { continue }
            guard tree.depth > 0, tree.depth <= 64 else { throw .damagedFile("\(StoreFile.name) has no such tree") }
            // The named tables stand as leaves of the main tree, which is taken first.
            let readsLeaves = tree.hasOverflow || trees.count == 1
            var waiting = [(page: tree.root, level: tree.depth)]
            // A damaged tree may lead in circles.
            var seen: UInt64 = 0
            while let (number, level) = waiting.popLast() {
                seen += 1
                try require(number)
                guard seen <= pages else { throw .damagedFile("\(StoreFile.name) has a tree without an end") }
                if level == 1, !readsLeaves { continue }
                let page = try bytes(at: number * pageSize, count: Int(pageSize))
                for node in nodes(of: page) {
                    let flags = StoreFile.number(page, node + 4, 2)
                    if level > 1 {
                        waiting.append((StoreFile.number(page, node, 4) | flags &<< 32, level - 1))
                        continue
                    }
                    let value = node + 8 + Int(StoreFile.number(page, node + 6, 2))
                    if flags & 1 != 0, value + 8 <= page.count {
                        try requireRun(at: StoreFile.number(page, value, 8))
                    } else if flags & 2 != 0, value + StoreFile.databaseBytes <= page.count {
                        trees.append(Tree(page, at: value))
                    }
                }
            }
        }
    }

    /// Where the nodes of a page begin.
    private func nodes(of page: [UInt8]) -> [Int] {
        let end = min(Int(StoreFile.number(page, 12, 2)), page.count)
        guard end > StoreFile.headerBytes else { return [] }
        return stride(from: StoreFile.headerBytes, to: end - 1, by: 2).map { Int(StoreFile.number(page, $0, 2)) }
            .filter { $0 + 8 <= page.count }
    }

    private func require(_ page: UInt64) throws(StoreError) {
        guard page < pages else {
            throw .damagedFile(
                "\(StoreFile.name) is cut: it has \(size) bytes, and what it holds goes beyond them")
        }
    }

    /// A value too large for a page lies in a run of pages, the first of which says how many.
    private func requireRun(at page: UInt64) throws(StoreError) {
        try require(page)
        let header = try bytes(at: page * pageSize, count: StoreFile.headerBytes)
        let count = StoreFile.number(header, 12, 4)
        if count > 1 { try require(page + count - 1) }
    }

    private func bytes(at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        let read = pread(descriptor, &result, count, Int(clamping: offset))
        guard read >= 0 else { throw .system(code: errno, operation: "read \(StoreFile.name)") }
        guard read == count else {
            throw .damagedFile("\(StoreFile.name) is cut: it has \(size) bytes")
        }
        return result
    }

    /// A number of `count` bytes, lowest first.
    private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        bytes[offset..<offset + count].reversed().reduce(0) { $0 &<< 8 | UInt64($1) }
    }
}
