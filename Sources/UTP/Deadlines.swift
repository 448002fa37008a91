/// When each of many things is due, by its place: plain integers, `UInt64.max` for never. The earliest is known without
/// looking at all of them, since an owner asks for it after every event.
struct Deadlines: Sendable {
    private var times: [UInt64] = []
    /// No deadline is earlier than this; after `settle` one is due just then.
    private(set) var earliest = UInt64.max
    private var isExact = true

    var indices: Range<Int> { times.indices }

    /// One place more, with nothing due.
    mutating func append() { times.append(.max) }

    subscript(place: Int) -> UInt64 {
        get { times[place] }
        set {
            let old = times[place]
            times[place] = newValue
            if newValue < earliest {
                earliest = newValue
            } else if old == earliest, newValue > old {
                isExact = false
            }
        }
    }

    /// Finds the earliest again where the one that was it has moved.
    mutating func settle() {
        guard !isExact else { return }
        earliest = times.min() ?? .max
        isExact = true
    }
}
