import Chain
import Primitives
import StateStore

/// Answers a request for headers (content 0x50) from the store: final ones that are not in memory any more. What is
/// stored was verified before; it goes out as it stands there, without being read.
public struct ServeHeaders: StoreReading {
    let key: HeadersKey
    /// Heights of the final line that the store has.
    let stored: ClosedRange<UInt64>
    /// The highest block served, from memory.
    let highest: UInt64

    /// The headers wanted, as long as they are stored and fit: the asker goes on from there.
    public func value(from snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8] {
        let first: UInt64?
        switch key.start {
        case .number(let number): first = number
        case .hash(let hash): first = try HeaderRecords.number(of: hash, in: snapshot)
        }
        var items: [HeadersValue.Item] = []
        var size = 0
        for number in first.map({ key.numbers(from: $0) }) ?? [] where size < ChainNetworkLimits.answerBytes {
            guard stored.contains(number),
                let row = try HeaderRecords.headers(from: number, through: number, limit: 1, in: snapshot).first
            else { break }
            let certificate = try HeaderRecords.certificate(of: row.point.hash, in: snapshot) ?? []
            items.append(HeadersValue.Item(header: row.header, certificate: certificate))
            size += row.header.count + certificate.count
        }
        guard !items.isEmpty else {
            return HeadersValue.notServed(lowest: stored.lowerBound, highest: highest).encoded()
        }
        return HeadersValue.encode(items, byteLimit: ChainNetworkLimits.answerBytes)
    }

    /// Busy: come back in a second.
    public var refusal: [UInt8] { HeadersValue.busy(seconds: 1).encoded() }
}
