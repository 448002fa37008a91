import Foundation
import Primitives
import Testing

@testable import Shell

/// A network that is begun, and found by its name.
@Suite struct NewNetworkTests {
    @Test func aNewNetworkIsReadAsItWasMade() throws {
        let folder = try TemporaryFolder()
        var network = NewNetwork(name: "mine", chainID: 7, genesisHash: .max)
        (network.keys, network.threshold, network.wideDepth) = (3, 2, 4)
        let paths = try network.write(to: folder.path)
        #expect(paths == ["mine.json", "mine-1.key", "mine-2.key", "mine-3.key"].map { "\(folder.path)/\($0)" })
        let read = try NetworkConfigurationFile.read(paths[0])
        #expect(read.name == "mine" && read.chainID == 7 && read.genesisHash == .max && read.wideDepth == 4)
        #expect(read.epochLength == 256 && read.sectionDepth == 2 && read.rule.threshold == 2)
        #expect(
            read.rule.keys == (try paths.dropFirst().map { KeyFile.signingPublicKey(ofSeed: try KeyFile.read($0)) }))
        // Nothing that is there is touched, were it only one of the keys.
        try FileManager.default.removeItem(atPath: paths[0])
        try FileManager.default.removeItem(atPath: paths[1])
        let before = try KeyFile.read(paths[2])
        #expect(throws: ShellError.fileExists(paths[2])) { try network.write(to: folder.path) }
        #expect(try KeyFile.read(paths[2]) == before)
        #expect(!FileManager.default.fileExists(atPath: paths[0]))
    }

    @Test func nothingIsWrittenOfANetworkThatCannotBe() throws {
        let folder = try TemporaryFolder()
        var network = NewNetwork(name: "mine", chainID: 7, genesisHash: .max)
        network.threshold = 2
        #expect(throws: NetworkConfigurationError.self) { try network.write(to: folder.path) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func aNetworkIsFoundByItsName() throws {
        let (first, second) = (try TemporaryFolder(), try TemporaryFolder())
        let folders = [first.path, second.path]
        for (folder, name) in [(first, "a"), (second, "a"), (second, "b")] {
            _ = try NewNetwork(name: name, chainID: 1, genesisHash: .zero).write(to: folder.path)
        }
        #expect(try NetworkFolder.file(of: "a", in: folders) == first.path + "/a.json")
        #expect(try NetworkFolder.file(of: "b", in: folders) == second.path + "/b.json")
        #expect(try NetworkFolder.file(of: "/x/y", in: folders) == "/x/y", "a path is taken as it is")
        #expect(try NetworkFolder.file(of: "c.json", in: folders) == "c.json")
        #expect(throws: ShellError.noSuchNetwork("c", known: ["a", "b"], folders: folders)) {
            try NetworkFolder.file(of: "c", in: folders)
        }
        let searched = NetworkFolder.folders(["HOME": "/h"])
        #expect(searched.prefix(2) == ["/h/.config/carousel/networks", "/etc/carousel/networks"])
        #expect(searched.count == 3 && searched[2].hasSuffix("/share/carousel/networks"))
    }

    @Test func anEphemeralDirectoryGoesAsItCame() throws {
        let directory = try DataDirectory.ephemeral()
        #expect(FileManager.default.fileExists(atPath: directory.path))
        try Data([1]).write(to: URL(fileURLWithPath: directory.keyPath))
        try directory.remove()
        #expect(!FileManager.default.fileExists(atPath: directory.path))
    }
}
