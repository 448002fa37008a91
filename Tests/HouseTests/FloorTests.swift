import Foundation
import Testing

/// Each target imports only floors below it, and only what `Package.swift` lets it.
@Suite struct FloorTests {
    private let house: House

    init() throws { house = try House.shared() }

    @Test func manifestIsUnderstood() {
        #expect(house.targets.count > 20)
        #expect(house.target("Primitives")?.floor == 1)
        #expect(house.target("Node")?.dependencies.contains("StateNetwork") == true)
        #expect(house.target("carousel")?.floor == 10)
        #expect(house.target("HouseTests") != nil)
        #expect(house.sources.count > 20)
    }

    @Test func everyTargetDependsOnLowerFloorsOnly() throws {
        for target in house.targets {
            guard let floor = target.floor else { continue }
            for name in target.dependencies {
                guard let lower = house.target(name) else { continue }
                let below = try #require(lower.floor, "\(target.name) depends on a test target")
                #expect(below < floor, "\(target.name) (floor \(floor)) depends on \(name) (floor \(below))")
            }
        }
    }

    /// It has a malloc of its own, and who links it runs on that one: a tool may load it, a program may not have it.
    @Test func nothingDependsOnTheHeapCounter() {
        #expect(house.target("CAllocations")?.floor == 0)
        for target in house.targets {
            #expect(!target.dependencies.contains("CAllocations"), "\(target.name) is linked with another malloc")
        }
    }

    @Test func noCycles() {
        var finished: Set<String> = []
        func visit(_ name: String, _ trail: [String]) {
            guard !finished.contains(name), let target = house.target(name) else { return }
            #expect(!trail.contains(name), "cycle: \((trail + [name]).joined(separator: " -> "))")
            guard !trail.contains(name) else { return }
            for next in target.dependencies { visit(next, trail + [name]) }
            finished.insert(name)
        }
        for target in house.targets { visit(target.name, []) }
    }

    /// What the toolchain brings: pure targets may have none of it, the others what they need.
    private static let outside: Set<String> = ["Foundation", "Glibc", "Dispatch", "Synchronization", "Testing"]
    private static let mayUseFoundation: Set<String> = [
        "Shell", "Conformance", "Bench", "carousel", "fuzz", "TestSupport",
    ]

    /// The simulation's map is shared by a host's lives, as a disk is: it has a lock, and nothing else of the world.
    private static let lockedOnly = [(target: "Simulation", module: "Synchronization")]

    @Test func importsAreDeclaredAndPureTargetsStayPure() throws {
        var breaches: [Breach] = []
        for file in house.sources + house.tests where file.isSwift {
            let target = try #require(house.target(file.target), "\(file.path): no target of that name")
            for (index, line) in file.code.enumerated() {
                guard let module = Self.importedModule(line) else { continue }
                let isDeclared = target.dependencies.contains(module)
                let isOutside = Self.outside.contains(module)
                let mayBeOutside =
                    target.floor == nil || Self.mayUseFoundation.contains(target.name)
                    || Self.lockedOnly.contains { $0.target == target.name && $0.module == module }
                if !isDeclared && !(isOutside && mayBeOutside) {
                    breaches.append(Breach(path: file.path, line: index + 1, what: "imports \(module)"))
                }
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    private static func importedModule(_ line: String) -> String? {
        var words = line.split(separator: " ").map(String.init)
        while let first = words.first, first.hasPrefix("@") || ["public", "internal", "private"].contains(first) {
            words.removeFirst()
        }
        guard words.first == "import", words.count > 1 else { return nil }
        return words[words.count - 1].split(separator: ".").first.map(String.init)
    }

    /// Words that reach for a clock, a thread, a disk, a socket or a random source.
    private static let worldly = [
        "Date(", "ContinuousClock", "SuspendingClock", "DispatchQueue", "DispatchTime", "FileManager", "FileHandle",
        "SystemRandomNumberGenerator", "randombytes_", "arc4random", "getrandom", "Task {", "Task.", "Thread",
        "pthread_", "clock_gettime", "sleep(", "socket(", "fopen(", "print(", ".shuffled()", ".randomElement()",
        ".hashValue", "Mutex<", "nonisolated(unsafe)",
    ]

    @Test func pureTargetsReachForNothingOutside() {
        let pure = Set(house.pureTargets.map(\.name))
        var breaches: [Breach] = []
        for file in house.sources where pure.contains(file.target) && file.isSwift {
            for (index, line) in file.code.enumerated() {
                for word in Self.worldly where Self.contains(line, word: word) {
                    if word == "Mutex<" && Self.lockedOnly.contains(where: { $0.target == file.target }) { continue }
                    breaches.append(Breach(path: file.path, line: index + 1, what: word))
                }
                if line.contains(".random(in:") && !line.contains("using:") {
                    breaches.append(Breach(path: file.path, line: index + 1, what: "a random source of its own"))
                }
            }
        }
        #expect(breaches.isEmpty, "\(breaches.map(\.description).joined(separator: "\n"))")
    }

    /// Whether `word` stands in `line` as a word of its own, not as the end of a longer one.
    private static func contains(_ line: String, word: String) -> Bool {
        var rest = Substring(line)
        while let range = rest.range(of: word) {
            let before = rest[..<range.lowerBound].last
            let isPartOfLonger = before.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
            if !isPartOfLonger || word.hasPrefix(".") { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }
}
