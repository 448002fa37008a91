// swift-tools-version: 6.1
import PackageDescription

// Targets stand in floors; each imports only floors below its own. The house test holds this picture to be true.
// System libraries come from Debian by name (see README): each is named here with the reason for it.

let settings: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")]

func floor(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies + ["Primitives", "TestSupport"], swiftSettings: settings)
}

let package = Package(
    name: "carousel",
    products: [
        .executable(name: "carousel", targets: ["carousel"]),
        // In no program: tools/bench has it loaded before the one it measures.
        .library(name: "allocations", type: .dynamic, targets: ["CAllocations"]),
    ],
    dependencies: [
        // The command line: flags, help and usage errors people know from every other Swift tool.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        // Floor 0: C kernels of ours, and system libraries.
        .target(name: "CKeccak"),
        // sendmmsg, recvmmsg and epoll, which Glibc's module does not export.
        .target(name: "CNet"),
        // Counts heap requests, so that "no allocation a packet" is measured. Stands before malloc, so nothing depends
        // on it: it is the library `allocations` and nothing else. Needs the C library's inner names.
        .target(name: "CAllocations"),
        // Random bytes, Ed25519, HMAC, constant-time compare: audited and misuse-resistant.
        .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        // The curve's reference library: node identity, ECDH, transaction senders.
        .systemLibrary(name: "CSecp256k1", pkgConfig: "libsecp256k1", providers: [.apt(["libsecp256k1-dev"])]),
        // AES-128-GCM and AES-128-CTR of discv5 packets, two to three times cheaper a packet than swift-crypto.
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        // The store: ordered, zero-copy reads, crash-safe without a log.
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),

        // Floor 1
        floor("Primitives", ["CKeccak", "CSodium"]),
        // Floor 2
        floor("MerklePatricia", ["Primitives"]),
        // Floor 3
        floor("Chain", ["Primitives", "MerklePatricia", "CSecp256k1", "CSodium"]),
        floor("Discovery", ["Primitives", "CSecp256k1", "CCrypto", "CSodium"]),
        floor("UTP", ["Primitives"]),
        // Floor 4
        floor("StateStore", ["Primitives", "MerklePatricia", "Chain"]),
        floor("Overlay", ["Primitives", "Discovery", "UTP"]),
        floor("ChainForge", ["Primitives", "MerklePatricia", "Chain"]),
        // Floor 5
        floor("StateContent", ["Primitives", "MerklePatricia", "Chain", "Discovery", "StateStore"]),
        // Floor 6
        floor(
            "StateNetwork",
            ["Primitives", "MerklePatricia", "Chain", "Discovery", "StateStore", "Overlay", "StateContent"]),
        floor("ChainNetwork", ["Primitives", "Chain", "StateStore", "Overlay"]),
        // Floor 7
        floor(
            "Node",
            [
                "Primitives", "MerklePatricia", "Chain", "Discovery", "UTP", "StateStore", "Overlay", "StateContent",
                "StateNetwork",
                "ChainNetwork",
            ]),
        // Floor 8
        floor(
            "Shell",
            [
                "Node", "Primitives", "MerklePatricia", "Chain", "ChainForge", "Discovery", "StateStore",
                "StateContent", "StateNetwork",
                "CNet", "CLMDB", "CSodium",
            ]),
        floor(
            "Simulation",
            [
                "Node", "Primitives", "MerklePatricia", "Chain", "ChainForge", "Discovery", "StateStore", "Overlay",
                "StateContent", "StateNetwork",
            ]),
        floor(
            "Conformance",
            [
                "Primitives", "MerklePatricia", "Chain", "ChainForge", "Discovery", "UTP", "StateStore", "Overlay",
                "StateContent", "StateNetwork", "ChainNetwork",
            ]),
        // Floor 9
        floor(
            "Fuzzing",
            [
                "Shell", "Conformance", "Primitives", "MerklePatricia", "Chain", "ChainForge", "Discovery", "UTP",
                "StateStore", "Overlay", "StateContent", "StateNetwork", "ChainNetwork",
            ]),
        floor(
            "Bench",
            [
                "Shell", "Node", "Primitives", "MerklePatricia", "Chain", "ChainForge", "ChainNetwork", "StateStore",
                "StateContent", "StateNetwork", "Discovery", "UTP", "Overlay", "CCrypto", "CSecp256k1",
            ]),
        // Floor 10
        .executableTarget(
            name: "carousel",
            dependencies: [
                "Bench", "Shell", "Simulation", "Node", "Conformance", "Primitives", "Chain", "ChainForge", "Discovery",
                "StateStore", "StateContent", "StateNetwork",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .executableTarget(name: "fuzz", dependencies: ["Fuzzing"], swiftSettings: settings),

        // Tests, one target a floor's target; TestSupport finds the shared folder; ChainLab makes headers and claims, StateLab states;
        // UTPLab is the transport's network in virtual time, for its tests and for tools/soak, which runs rings of
        // whole nodes too.
        .target(
            name: "UTPLab", dependencies: ["Primitives", "UTP"],
            path: "Tests/UTPLab", swiftSettings: settings),
        .executableTarget(
            name: "soak",
            dependencies: [
                "UTPLab", "Simulation", "Shell", "Node", "Primitives", "Chain", "Discovery", "Overlay", "StateStore",
                "StateContent", "StateNetwork",
            ],
            path: "Tests/soak", swiftSettings: settings),
        .target(
            name: "ChainLab", dependencies: ["Primitives", "Chain", "ChainForge"],
            path: "Tests/ChainLab", swiftSettings: settings),
        .target(
            name: "StateLab", dependencies: ["Primitives", "MerklePatricia", "Chain", "StateStore", "StateContent"],
            path: "Tests/StateLab", swiftSettings: settings),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        tests("Primitives", []),
        tests("MerklePatricia", ["MerklePatricia"]),
        tests("Chain", ["Chain", "ChainForge", "ChainLab", "MerklePatricia"]),
        tests("Discovery", ["Discovery", "CSecp256k1", "CSodium"]),
        tests("UTP", ["UTP", "UTPLab"]),
        tests("ChainForge", ["ChainForge", "Chain", "MerklePatricia"]),
        tests("StateStore", ["StateStore", "MerklePatricia", "Chain", "Simulation"]),
        tests("Overlay", ["Overlay", "Discovery", "UTP"]),
        tests(
            "StateContent",
            ["StateContent", "StateLab", "StateStore", "MerklePatricia", "Chain", "Discovery", "ChainLab"]),
        tests(
            "StateNetwork",
            [
                "StateNetwork", "StateContent", "StateLab", "StateStore", "MerklePatricia", "Chain", "Discovery",
                "Overlay",
                "Simulation",
            ]),
        tests("ChainNetwork", ["ChainNetwork", "Chain", "ChainForge", "ChainLab", "StateStore"]),
        tests(
            "Node",
            [
                "Node", "Overlay", "Discovery", "Chain", "ChainNetwork", "MerklePatricia", "StateStore", "StateContent",
                "StateNetwork",
            ]),
        tests(
            "Shell",
            [
                "Shell", "Node", "StateStore", "StateContent", "StateNetwork", "Chain", "ChainForge", "MerklePatricia",
                "Discovery",
            ]),
        tests(
            "Simulation",
            [
                "Simulation", "Node", "Overlay", "Discovery", "UTP", "StateContent", "StateNetwork", "StateStore",
                "Chain", "ChainForge", "ChainLab", "ChainNetwork",
                "MerklePatricia",
            ]),
        tests("Conformance", ["Conformance"]),
        tests("Bench", ["Bench", "MerklePatricia"]),
        tests(
            "Fuzzing",
            ["Fuzzing", "Conformance", "MerklePatricia", "Chain", "StateStore", "StateContent", "StateNetwork"]),
        tests("House", []),
    ]
)
