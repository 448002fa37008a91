import Testing

@Suite struct ChainNetworkTests {}
