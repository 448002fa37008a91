extension RandomAccessCollection {
    /// The index of the first element for which `precedes` is false; `endIndex` where it is true of all. A binary
    /// search: `precedes` must be true of a beginning of the collection and false of the rest, as `{ $0 < key }` is
    /// where the elements ascend. O(log n).
    @inlinable @inline(__always)
    public func partitionPoint(where precedes: (Element) -> Bool) -> Index {
        var start = startIndex
        var length = count
        while length > 0 {
            let half = length &>> 1
            let middle = index(start, offsetBy: half)
            if precedes(self[middle]) {
                start = index(after: middle)
                length &-= half &+ 1
            } else {
                length = half
            }
        }
        return start
    }
}
