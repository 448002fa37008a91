import Testing

@Suite struct StateStoreTests {}
