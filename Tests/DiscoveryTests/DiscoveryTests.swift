import Testing

@Suite struct DiscoveryTests {}
