/// A map that holds at most `limit` entries: the one longest unused makes room. Entries stand in one array, linked in
/// the order of use, so that a value can be changed in place through its slot.
struct LRU<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Link: Sendable {
        var older: Int
        var newer: Int
    }

    private struct Entry: Sendable {
        var key: Key
        var value: Value

        mutating func change<Result>(_ body: (inout Value) -> Result) -> Result { body(&value) }
    }

    let limit: Int
    private var slots: [Key: Int] = [:]
    private var entries: [Entry?] = []
    private var links: [Link] = []
    private var free: [Int] = []
    private var oldest = -1
    private var newest = -1

    init(limit: Int) { self.limit = max(1, limit) }

    var count: Int { slots.count }

    /// Where the entry of `key` stands, until the next insertion or removal.
    func slot(of key: Key) -> Int? { slots[key] }

    /// The value of `key`, not counted as a use.
    func peek(_ key: Key) -> Value? { slots[key].flatMap { entries[$0]?.value } }

    /// The value of `key`, which becomes the one last used.
    mutating func use(_ key: Key) -> Value? {
        guard let slot = slots[key] else { return nil }
        touch(slot)
        return entries[slot]?.value
    }

    /// Changes the value at `slot` in place.
    mutating func update<Result>(_ slot: Int, _ body: (inout Value) -> Result) -> Result? {
        guard entries.indices.contains(slot) else { return nil }
        return entries[slot]?.change(body)
    }

    /// Makes the entry at `slot` the one last used.
    mutating func touch(_ slot: Int) {
        guard slot != newest else { return }
        unlink(slot)
        append(slot)
    }

    /// Inserts or replaces. Gives back the entry that had to make room.
    @discardableResult
    mutating func insert(_ key: Key, _ value: Value) -> (key: Key, value: Value)? {
        if let slot = slots[key] {
            entries[slot] = Entry(key: key, value: value)
            touch(slot)
            return nil
        }
        var evicted: (key: Key, value: Value)?
        if slots.count >= limit, let old = entries[oldest] {
            remove(old.key)
            evicted = (old.key, old.value)
        }
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            entries[slot] = Entry(key: key, value: value)
        } else {
            slot = entries.count
            entries.append(Entry(key: key, value: value))
            links.append(Link(older: -1, newer: -1))
        }
        slots[key] = slot
        append(slot)
        return evicted
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        guard let slot = slots.removeValue(forKey: key) else { return nil }
        let value = entries[slot]?.value
        entries[slot] = nil
        unlink(slot)
        free.append(slot)
        return value
    }

    private mutating func unlink(_ slot: Int) {
        let link = links[slot]
        if link.older >= 0 { links[link.older].newer = link.newer } else { oldest = link.newer }
        if link.newer >= 0 { links[link.newer].older = link.older } else { newest = link.older }
    }

    private mutating func append(_ slot: Int) {
        links[slot] = Link(older: newest, newer: -1)
        if newest >= 0 { links[newest].newer = slot } else { oldest = slot }
        newest = slot
    }
}
