import Discovery
import Primitives
import Testing

@testable import Overlay

@Suite struct BootstrapTests {
    @Test func tenNodesFindEachOther() throws {
        let world = try World(10, seed: 1)
        world.bootstrap()
        #expect(world.run(.seconds(60)) { $0.isMeshed() && $0.isMeshed(.chain) })
        #expect(world.largest <= 1_280)
        print("meshed at \(world.now.microseconds) µs, \(world.datagrams) datagrams")
    }
}
