import Primitives

/// The paths to all peers that streams are or were open with. Places are reused, oldest first, once they are too many.
struct Paths: Sendable {
    private var paths: [Path] = []
    var deadlines = Deadlines()
    private var placeOfPeer: [NodeAddress: Int] = [:]
    /// Paths without a stream, the one longest so first; some have got one since.
    private var idle = Queue<Int>()
    /// Paths to serve at the next `drain`, in the order they were touched.
    private(set) var touched: [Int] = []

    subscript(place: Int) -> Path {
        get { paths[place] }
        _modify { yield &paths[place] }
    }

    /// The path to `peer`, with one stream more.
    mutating func join(_ peer: NodeAddress) -> Int {
        if let known = placeOfPeer[peer] {
            paths[known].streams += 1
            return known
        }
        var place = paths.count
        // Of those listed as idle some are in use again; they are listed anew when their last stream ends.
        while place == paths.count, idle.count >= UTPLimits.paths, let oldest = idle.first {
            idle.removeFirst()
            paths[oldest].isIdle = false
            if paths[oldest].streams == 0 { place = oldest }
        }
        if place == paths.count {
            paths.append(Path(peer: peer))
            deadlines.append()
        } else {
            placeOfPeer[paths[place].peer] = nil
            let isListed = paths[place].isListed
            paths[place] = Path(peer: peer)
            paths[place].isListed = isListed
        }
        placeOfPeer[peer] = place
        paths[place].streams += 1
        return place
    }

    /// Takes a stream off its path, where it stands at `place` of the machine; what it leaves of the window is for the
    /// others.
    mutating func leave(_ stream: borrowing Stream, at place: Int) {
        let path = stream.path
        paths[path].flying -= stream.flying
        paths[path].streams -= 1
        if stream.isWaiting { paths[path].waiting.remove { $0 == place } }
        if paths[path].streams == 0, !paths[path].isIdle {
            paths[path].isIdle = true
            idle.append(path)
        }
        touch(path)
    }

    /// Has a path served at the next `drain`.
    mutating func touch(_ place: Int) {
        guard !paths[place].isListed else { return }
        paths[place].isListed = true
        touched.append(place)
    }

    /// All that were touched have been served.
    mutating func clearTouched() { touched.removeAll(keepingCapacity: true) }

    /// Touches those whose pacing lets a burst go at `now`, in microseconds.
    mutating func touchDue(at now: UInt64) {
        guard deadlines.earliest <= now else { return }
        for place in deadlines.indices where deadlines[place] <= now {
            deadlines[place] = .max
            touch(place)
        }
    }
}
