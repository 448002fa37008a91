import Primitives

/// What may be sent to addresses that nobody has answered from: those that a record names, and whoever signed it may
/// have named anybody's.
///
/// A record that comes over the wire brings the address that it names as many bytes of credit as it is long; a packet
/// that begins a handshake there is paid from that. So whatever strangers tell us, a victim gets no more bytes from us
/// than they had to send us about it, and so do all victims of one teller together: nobody gains by sending us instead
/// of going himself. Beside that a prefix gets only so many such packets a second, whoever names its addresses. An
/// address is *open*, free of both, once a packet of ours was answered from it or a handshake came from there, and
/// where the one who runs the node vouches for it.
struct NamedAddresses: Sendable {
    private let configuration: Discovery.Configuration
    private var credits: LRU<Endpoint, Int>
    private var opened: LRU<Endpoint, Bool>
    private var prefixes: LRU<Subnet, TokenBucket>

    init(_ configuration: Discovery.Configuration) {
        self.configuration = configuration
        credits = LRU(limit: DiscoveryLimits.namedAddresses)
        opened = LRU(limit: DiscoveryLimits.namedAddresses)
        prefixes = LRU(limit: DiscoveryLimits.namedAddresses)
    }

    /// Addresses and prefixes remembered.
    var count: Int { credits.count + opened.count + prefixes.count }

    /// Whether `endpoint` is open.
    func isOpen(_ endpoint: Endpoint) -> Bool { opened.slot(of: endpoint) != nil }

    /// A record of `size` bytes names `endpoint`.
    mutating func name(_ endpoint: Endpoint, size: Int) {
        guard !isOpen(endpoint) else { return }
        credits.insert(endpoint, min((credits.peek(endpoint) ?? 0) + size, DiscoveryLimits.namedCredit))
    }

    /// `endpoint` has proven itself, or is vouched for.
    mutating func open(_ endpoint: Endpoint) {
        credits.remove(endpoint)
        opened.insert(endpoint, true)
    }

    /// Whether a packet of `size` bytes may go to `endpoint`, which then counts as sent.
    mutating func admits(_ size: Int, to endpoint: Endpoint, at now: Instant) -> Bool {
        if let slot = opened.slot(of: endpoint) {
            opened.touch(slot)
            return true
        }
        guard let slot = credits.slot(of: endpoint), credits.update(slot, { $0 >= size }) == true,
            endpoint.isLoopback || takes(Subnet(endpoint), at: now)
        else { return false }
        _ = credits.update(slot) { $0 -= size }
        return true
    }

    private mutating func takes(_ prefix: Subnet, at now: Instant) -> Bool {
        prefixes.take(prefix, rate: configuration.namedPrefixRate, burst: configuration.namedPrefixBurst, at: now)
    }
}
