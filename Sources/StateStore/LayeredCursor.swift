/// One walk through a table of the base with the layers over it: at each key the newest layer that has it decides.
/// Nothing is copied: what it gives lies in the store, or in the layer. An object that others hold as a constant: a
/// structure kept in one would have its exclusive use checked at every move, at run time.
final class LayeredCursor {
    /// Which source has the entry the cursor is at.
    private enum Winner { case none, base, undo, overlay(Int) }

    private let kind: StateTable
    private let base: ErasedCursor
    private let undo: ErasedCursor?
    private var readsUndo = false
    private var overlays: [OverlayTable] = []
    private var positions: [Int] = []
    private var winner = Winner.none
    /// A run of one, for an entry of a layer.
    private let single = UnsafeMutablePointer<StoredEntry>.allocate(capacity: 1)

    /// - Parameter withUndo: whether any layering to come reads the undo layer.
    init(_ snapshot: some StoreSnapshot, _ kind: StateTable, withUndo: Bool) throws(StoreError) {
        self.kind = kind
        base = ErasedCursor(try snapshot.cursor(kind.base))
        undo = withUndo ? ErasedCursor(try snapshot.cursor(kind.undo)) : nil
    }

    deinit { single.deallocate() }

    /// Reads through these layers from the next seek on.
    func look(through layering: SectionLayering) {
        readsUndo = layering.readsUndo
        if layering.overlays.isEmpty && overlays.isEmpty { return }
        overlays = layering.overlays.map { $0.table(kind) }.filter { $0.count > 0 }
        positions = overlays.map { _ in 0 }
    }

    private var isPlain: Bool { !readsUndo && overlays.isEmpty }

    /// Goes to the first entry at or after `key`. With `accountsOnly` the slots that a layer deletes are jumped over
    /// with all others of their account, not stepped through. `expecting`: entries that are likely to be asked for one
    /// after the other, none of them above `bound`.
    func seek(
        _ key: [UInt8], accountsOnly: Bool = false, expecting count: Int = 1, upTo bound: [UInt8]? = nil
    ) throws(StoreError) -> Bool {
        let found = try base.seek(key, expecting: count, upTo: bound)
        if isPlain {
            winner = found == nil ? .none : .base
            return found != nil
        }
        try placeLayers(at: key)
        return try pass(accountsOnly: accountsOnly)
    }

    /// Goes to the first entry at or after `key`, as one who goes through the table in leaps: see `ErasedCursor.leap`.
    func leap(to key: [UInt8]) throws(StoreError) -> Bool {
        let found = try base.leap(to: key)
        if isPlain {
            winner = found == nil ? .none : .base
            return found != nil
        }
        try placeLayers(at: key)
        return try pass(accountsOnly: false)
    }

    /// Goes to the next entry; `accountsOnly` as in `seek`.
    func next(accountsOnly: Bool = false) throws(StoreError) -> Bool {
        if isPlain {
            let found = try base.next()
            winner = found == nil ? .none : .base
            return found != nil
        }
        guard let key = current?.key else { return false }
        try step(over: key)
        return try pass(accountsOnly: accountsOnly)
    }

    private func placeLayers(at key: [UInt8]) throws(StoreError) {
        if readsUndo { _ = try undo?.seek(key) }
        for index in overlays.indices { positions[index] = overlays[index].lowerBound(key) }
    }

    /// Goes on from where the sources are to an entry that is there. Gives whether there is one.
    private func pass(accountsOnly: Bool) throws(StoreError) -> Bool {
        while let gone = try settle() {
            guard accountsOnly else {
                try step(over: gone)
                continue
            }
            guard let next = ByteOrder.end(ofPrefix: Array(gone.prefix(32))) else {
                winner = .none
                return false
            }
            _ = try base.seek(next)
            try placeLayers(at: next)
        }
        if case .none = winner { return false }
        return true
    }

    /// Takes the entry the cursor is at and those after it that are at hand, before whatever a layer has, and moves to
    /// the last of them; none past the end. The array is theirs until the next move.
    func takeRun() -> UnsafeBufferPointer<StoredEntry> {
        switch winner {
        case .none: return UnsafeBufferPointer(start: nil, count: 0)
        case .base: return base.takeRun(before: isPlain ? nil : nextInLayers)
        case .undo, .overlay:
            guard let current else { return UnsafeBufferPointer(start: nil, count: 0) }
            single.initialize(to: current)
            return UnsafeBufferPointer(start: single, count: 1)
        }
    }

    /// The entry behind the one the cursor is at, inner nil for none; nil where that is not known.
    var following: StoredEntry?? {
        if isPlain { return base.following }
        guard case .base = winner, let following = base.following else { return nil }
        guard let next = nextInLayers else { return following }
        guard let following, ByteOrder.compare(following.key, next) < 0 else { return nil }
        return following
    }

    /// The lowest key that any layer is at.
    private var nextInLayers: UnsafeRawBufferPointer? {
        var lowest = readsUndo ? undo?.current?.key : nil
        for (index, position) in positions.enumerated() where position < overlays[index].count {
            let key = overlays[index].key(at: position)
            if lowest.map({ ByteOrder.compare(key, $0) < 0 }) ?? true { lowest = key }
        }
        return lowest
    }

    /// The entry the cursor is at; nil past the end.
    var current: StoredEntry? {
        switch winner {
        case .none: nil
        case .base: base.current
        // Before the value stands whether there was one.
        case .undo: undo?.current.map { StoredEntry(key: $0.key, value: .init(rebasing: $0.value.dropFirst())) }
        case .overlay(let index): overlays[index].entry(at: positions[index])
        }
    }

    /// The entry the cursor is at, copied; nil past the end.
    var entry: (key: [UInt8], value: [UInt8])? { current.map { (Array($0.key), Array($0.value)) } }

    /// Finds the lowest key any source is at and the newest source that has it. Gives the key where that source says
    /// that nothing is there.
    private func settle() throws(StoreError) -> UnsafeRawBufferPointer? {
        var lowest: UnsafeRawBufferPointer?
        winner = .none
        func isLowest(_ key: UnsafeRawBufferPointer) -> Bool { lowest.map { ByteOrder.compare(key, $0) < 0 } ?? true }
        for (index, position) in positions.enumerated() where position < overlays[index].count {
            let key = overlays[index].key(at: position)
            guard isLowest(key) else { continue }
            lowest = key
            winner = .overlay(index)
        }
        if readsUndo, let key = undo?.current?.key, isLowest(key) {
            lowest = key
            winner = .undo
        }
        if let key = base.current?.key, isLowest(key) {
            lowest = key
            winner = .base
        }
        switch winner {
        case .none, .base: return nil
        case .undo: return undo?.current.map { UndoValue.isGone($0.value) } == true ? lowest : nil
        case .overlay(let index): return overlays[index].isGone(at: positions[index]) ? lowest : nil
        }
    }

    /// Moves every source that is at `key` on by one.
    private func step(over key: UnsafeRawBufferPointer) throws(StoreError) {
        for index in overlays.indices
        where positions[index] < overlays[index].count
            && ByteOrder.compare(overlays[index].key(at: positions[index]), key) == 0
        {
            positions[index] += 1
        }
        if readsUndo, let undo, let at = undo.current?.key, ByteOrder.compare(at, key) == 0 { _ = try undo.next() }
        if let at = base.current?.key, ByteOrder.compare(at, key) == 0 { _ = try base.next() }
    }
}
