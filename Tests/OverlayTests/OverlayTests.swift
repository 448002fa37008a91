import Testing

@Suite struct OverlayTests {}
