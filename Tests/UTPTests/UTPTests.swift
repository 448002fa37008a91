import Testing

@Suite struct UTPTests {}
