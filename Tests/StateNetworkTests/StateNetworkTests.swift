import Testing

@Suite struct StateNetworkTests {}
