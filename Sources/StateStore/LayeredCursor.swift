/// One walk through a table of the base with the layers over it: at each key the newest layer that has it decides.
struct LayeredCursor {
    /// Which source has the entry the cursor is at.
    private enum Winner { case none, base, undo, overlay(Int) }

    private let kind: StateTable
    private let base: ErasedCursor
    private var baseFound = false
    // Copies of the keys under the cursors, kept only while there are layers to compare them with.
    private var baseKey: [UInt8] = []
    private let undo: ErasedCursor?
    private var undoFound = false
    private var undoKey: [UInt8] = []
    private var readsUndo = false
    private var overlays: [[StateOverlay.Entry]] = []
    private var positions: [Int] = []
    private var winner = Winner.none

    /// - Parameter withUndo: whether any layering to come reads the undo layer.
    init(_ snapshot: some StoreSnapshot, _ kind: StateTable, withUndo: Bool) throws(StoreError) {
        self.kind = kind
        base = CursorBox(try snapshot.cursor(kind.base))
        undo = withUndo ? CursorBox(try snapshot.cursor(kind.undo)) : nil
    }

    /// Reads through these layers from the next seek on.
    mutating func look(through layering: SectionLayering) {
        readsUndo = layering.readsUndo
        if layering.overlays.isEmpty && overlays.isEmpty { return }
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

    /// Runs `body` on the entry the cursor is at; not past the end.
    func read(_ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        switch winner {
        case .none: return
        case .base: base.read(body)
        case .undo: undo?.read { key, value in body(key, UnsafeRawBufferPointer(rebasing: value.dropFirst())) }
        case .overlay(let index):
            let entry = overlays[index][positions[index]]
            entry.key.withUnsafeBufferPointer { key in
                (entry.value ?? []).withUnsafeBufferPointer { value in
                    body(UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(value))
                }
            }
        }
    }

    /// The entry the cursor is at, copied; nil past the end.
    var entry: (key: [UInt8], value: [UInt8])? {
        var entry: (key: [UInt8], value: [UInt8])?
        read { key, value in entry = (Array(key), Array(value)) }
        return entry
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
        case .undo:
            var isGone = false
            undo?.read { _, value in isGone = UndoValue.isGone(value) }
            return isGone ? lowest : nil
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
        if baseFound { base.read { key, _ in baseKey.append(contentsOf: key) } }
    }

    private mutating func copyUndoKey() {
        undoKey.removeAll(keepingCapacity: true)
        if undoFound { undo?.read { key, _ in undoKey.append(contentsOf: key) } }
    }
}
