/// One walk through a table of the base with the layers over it: at each key the newest layer that has it decides.
struct LayeredCursor<Snapshot: StoreSnapshot> {
    /// Which source has the entry the cursor is at.
    private enum Winner { case none, base, undo, overlay(Int) }

    private let snapshot: Snapshot
    private let kind: StateTable
    private var base: Snapshot.Cursor
    private var baseFound = false
    // Copies of the keys under the cursors, kept only while there are layers to compare them with.
    private var baseKey: [UInt8] = []
    private var undo: Snapshot.Cursor?
    private var undoFound = false
    private var undoKey: [UInt8] = []
    private var readsUndo = false
    private var overlays: [[StateOverlay.Entry]] = []
    private var positions: [Int] = []
    private var winner = Winner.none

    init(_ snapshot: Snapshot, _ kind: StateTable) throws(StoreError) {
        self.snapshot = snapshot
        self.kind = kind
        base = try snapshot.cursor(kind.base)
    }

    /// Reads through these layers from the next seek on.
    mutating func look(through layering: SectionLayering) throws(StoreError) {
        readsUndo = layering.readsUndo
        if readsUndo && undo == nil { undo = try snapshot.cursor(kind.undo) }
        overlays = layering.overlays.map { $0.entries(kind) }.filter { !$0.isEmpty }
        positions = overlays.map { _ in 0 }
    }

    private var isPlain: Bool { !readsUndo && overlays.isEmpty }

    /// Goes to the first entry at or after `key`. With `accountsOnly` the slots of an account that a layer deletes are
    /// jumped over, not stepped through.
    mutating func seek(_ key: [UInt8], accountsOnly: Bool = false) throws(StoreError) -> Bool {
        baseFound = try base.seek(key)
        if isPlain {
            winner = baseFound ? .base : .none
            return baseFound
        }
        copyBaseKey()
        if readsUndo {
            undoFound = try undo?.seek(key) ?? false
            copyUndoKey()
        }
        for index in overlays.indices { positions[index] = overlays[index].lowerBound(key) }
        while let gone = try settle() {
            if accountsOnly && gone.count == 32 {
                guard let next = ByteOrder.end(ofPrefix: gone) else { return false }
                return try seek(next, accountsOnly: true)
            }
            try step(over: gone)
        }
        if case .none = winner { return false }
        return true
    }

    /// Goes to the next entry.
    mutating func next() throws(StoreError) -> Bool {
        if isPlain {
            baseFound = baseFound ? try base.next() : false
            winner = baseFound ? .base : .none
            return baseFound
        }
        guard let key = currentKey else { return false }
        try step(over: key)
        while let gone = try settle() { try step(over: gone) }
        if case .none = winner { return false }
        return true
    }

    /// The entry the cursor is at; nil past the end.
    func withEntry<R, E: Error>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R? {
        switch winner {
        case .none: return nil
        case .base: return try base.withEntry(body)
        case .undo:
            return try undo?.withEntry { (key, value) throws(E) in
                try body(key, UnsafeRawBufferPointer(rebasing: value.dropFirst()))
            } ?? nil
        case .overlay(let index):
            let entry = overlays[index][positions[index]]
            return try entry.key.withUnsafeBufferPointer { (key) throws(E) in
                try (entry.value ?? []).withUnsafeBufferPointer { (value) throws(E) in
                    try body(UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(value))
                }
            }
        }
    }

    private var currentKey: [UInt8]? {
        switch winner {
        case .none: nil
        case .base: baseKey
        case .undo: undoKey
        case .overlay(let index): overlays[index][positions[index]].key
        }
    }

    /// Finds the lowest key any source is at and the newest source that has it. Gives the key where that source says
    /// that nothing is there.
    private mutating func settle() throws(StoreError) -> [UInt8]? {
        var lowest: [UInt8]?
        winner = .none
        for (index, position) in positions.enumerated() where position < overlays[index].count {
            let key = overlays[index][position].key
            if lowest.map({ ByteOrder.isLess(key, $0) }) ?? true {
                lowest = key
                winner = .overlay(index)
            }
        }
        if readsUndo && undoFound, lowest.map({ ByteOrder.isLess(undoKey, $0) }) ?? true {
            lowest = undoKey
            winner = .undo
        }
        if baseFound, lowest.map({ ByteOrder.isLess(baseKey, $0) }) ?? true {
            lowest = baseKey
            winner = .base
        }
        switch winner {
        case .none, .base: return nil
        case .undo: return undo?.withEntry({ _, value in UndoValue.isGone(value) }) == true ? lowest : nil
        case .overlay(let index): return overlays[index][positions[index]].value == nil ? lowest : nil
        }
    }

    /// Moves every source that is at `key` on by one.
    private mutating func step(over key: [UInt8]) throws(StoreError) {
        for index in overlays.indices
        where positions[index] < overlays[index].count && overlays[index][positions[index]].key == key {
            positions[index] += 1
        }
        if readsUndo && undoFound && undoKey == key {
            undoFound = try undo?.next() ?? false
            copyUndoKey()
        }
        if baseFound && baseKey == key {
            baseFound = try base.next()
            copyBaseKey()
        }
    }

    private mutating func copyBaseKey() {
        baseKey.removeAll(keepingCapacity: true)
        if baseFound { base.withEntry { key, _ in baseKey.append(contentsOf: key) } }
    }

    private mutating func copyUndoKey() {
        undoKey.removeAll(keepingCapacity: true)
        if undoFound { undo?.withEntry { key, _ in undoKey.append(contentsOf: key) } }
    }
}
