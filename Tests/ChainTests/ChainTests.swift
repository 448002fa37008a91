import Testing

@Suite struct ChainTests {}
