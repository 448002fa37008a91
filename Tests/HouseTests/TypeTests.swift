import Foundation
import Testing

/// One name, one type; and no type that nobody can hold in mind.
@Suite struct TypeTests {
    private let house: House

    init() throws { house = try House.shared() }

    /// A type with all its parts, over all files of a target.
    private struct Whole {
        var floor: Int
        var fields = 0
        var methods = 0
    }

    @Test func everyFileIsUnderstood() {
        for (path, found) in house.declarations {
            let isBalanced = found.isBalanced
            #expect(isBalanced, "\(path): brackets that the scanner cannot follow")
        }
    }

    // MARK: Names

    /// A name that any target shows to others stands for nothing else anywhere, tests included; and what two targets of
    /// the program keep to themselves has two names as well, since people read across targets. What is private
    /// to a file is read in that file only.
    @Test func noNameStandsForTwoTypes() {
        var targets: [String: Set<String>] = [:]
        var shown: Set<String> = []
        for (file, part) in parts(of: house.sources + house.tests) where part.kind != .extension {
            guard !part.name.contains("."), !part.isPrivate else { continue }
            targets[part.name, default: []].insert(file.target)
            if part.isPublic { shown.insert(part.name) }
        }
        let isProgram = Set(house.sources.map(\.target))
        let collisions = targets.filter { name, places in
            places.count > 1 && (shown.contains(name) || places.intersection(isProgram).count > 1)
        }
        for (name, places) in collisions.sorted(by: { $0.key < $1.key }) {
            Issue.record("\(name) is declared in \(places.sorted().joined(separator: ", ")): give one another name")
        }
        #expect(shown.count > 200)
    }

    // MARK: Sizes

    private static let fields = 20
    private static let methods = 40
    /// Floors on which no type is over the limits, for whatever reason.
    private static let strictFloors = 5...7

    /// Types of other floors that are over the limits: stored fields and methods. The numbers are true, and only fall.
    private static let large: [String: (fields: Int, methods: Int)] = [
        "Chain.AttestedChain": (14, 41),
        "Discovery.Discovery.Configuration": (38, 0),
        "Overlay.Overlay": (7, 44),
        "Overlay.OverlayStatistics": (27, 0),
        "UTP.SendingSide": (24, 26),
        "UTP.Stream": (24, 21),
    ]

    @Test func typesAreSmall() {
        let listed = Self.large
        let wholes = wholeTypes()
        for (name, whole) in wholes.sorted(by: { $0.key < $1.key }) {
            let isOver = whole.fields > Self.fields || whole.methods > Self.methods
            let size = "\"\(name)\": (\(whole.fields), \(whole.methods))"
            guard let allowed = listed[name] else {
                #expect(!isOver, "\(size) fields and methods; allowed are \(Self.fields) and \(Self.methods)")
                continue
            }
            #expect(isOver, "\(size) is small enough now: take it from the list")
            guard isOver else { continue }
            let hasGrown = whole.fields > allowed.fields || whole.methods > allowed.methods
            #expect(!hasGrown, "\(size) has grown over \(allowed)")
            let hasShrunk = whole.fields < allowed.fields || whole.methods < allowed.methods
            #expect(!hasShrunk, "\(size) has become smaller than \(allowed): write that into the list")
        }
        for name in listed.keys where wholes[name] == nil { Issue.record("\(name) is gone: take it from the list") }
        for name in Self.large.keys {
            guard let whole = wholes[name] else { continue }
            #expect(!Self.strictFloors.contains(whole.floor), "\(name) stands on a floor without exceptions")
        }
        #expect(wholes.count > 300)
    }

    private func wholeTypes() -> [String: Whole] {
        var wholes: [String: Whole] = [:]
        for (file, part) in parts(of: house.sources) {
            guard let floor = house.target(file.target)?.floor else { continue }
            let name = file.target + "." + part.name
            wholes[name, default: Whole(floor: floor)].fields += part.fields
            wholes[name, default: Whole(floor: floor)].methods += part.methods
        }
        return wholes
    }

    private func parts(of files: [SourceText]) -> [(file: SourceText, part: TypePart)] {
        files.flatMap { file in (house.declarations[file.path]?.parts ?? []).map { (file, $0) } }
    }
}

/// The scanner finds what stands there, on samples that have what makes scanning hard.
@Suite struct DeclarationsTests {
    private func parts(_ text: String) -> [TypePart] {
        var blanker = Blanker(Array(text))
        let found = Declarations(blanker.blanked().components(separatedBy: "\n"))
        #expect(found.isBalanced)
        return found.parts
    }

    @Test func storedFieldsAreCounted() {
        let found = parts(
            """
            public struct A<T: P>: Q where T.X == [Int] {
                let a, b: Int
                private(set) var c: Dictionary<Int, String> = [:], d = 3
                @Option(name: .long, help: "var x") var e: Int = 1 < 2 ? 3 : 4
                lazy var f: () -> Int = { let x = 1; return x }
                var g = 1 { didSet { let y = 2 } }
                var h: Int { let z = 1; return z }
                var i: Int {
                    get { 1 }
                    set { }
                }
                static let j = 1
                static var k: Int { 2 }
                class var l: Int { 3 }
                let m: (
                    Int, Int
                )
                #if DEBUG
                var n = \"""
                    var o = 1 {
                    \"""
                #endif
            }
            """)
        #expect(found == [TypePart(kind: .struct, name: "A", isPublic: true, line: 1, fields: 9, methods: 0)])
    }

    @Test func methodsAreCounted() {
        let found = parts(
            """
            extension A.B where C == D {
                init(a: Int = { 1 }()) { func local() {} }
                mutating func a(b: (Int) -> Void = { func no() {} }) throws(E) -> [Int] { struct Local { var a: Int } }
                static func < (a: Self, b: Self) -> Bool { a.c < b.c }
                subscript(index: Int) -> Int { 1 }
                /* func no() */ // func no()
                class func e() {}
                var computed: Int { f { g } }
            }
            """)
        #expect(found == [TypePart(kind: .extension, name: "A.B", isPublic: false, line: 1, fields: 0, methods: 4)])
    }

    @Test func nestedTypesAreTheirOwn() {
        let found = parts(
            """
            public final class A {
                enum B: String { case `struct`, actor, c(d: Int, e: (Int) -> Void)
                    var f: Int { switch self { case .actor: 1; default: 2 } }
                    func g() {}
                }
                let h = 1
                func i() {}
            }
            protocol P { var a: Int { get }
                func b()
                func c() -> Int
            }
            public typealias T = Int
            """)
        #expect(found.map(\.name) == ["A.B", "A", "P", "T"])
        #expect(found.map(\.fields) == [0, 1, 0, 0])
        #expect(found.map(\.methods) == [1, 1, 2, 0])
        #expect(found.map(\.isPublic) == [false, true, false, true])
        #expect(found.map(\.line) == [2, 1, 9, 13])
        #expect(
            parts("@frozen fileprivate enum A {}\nprivate struct B {}\nenum C {}").map(\.isPrivate) == [
                true, true, false,
            ])
    }

    @Test func whatIsNoCodeIsNotTakenForSome() {
        #expect(!Declarations(["struct A {", "  func b() {", "}"]).isBalanced)
        #expect(!Declarations(["struct A { }", "}"]).isBalanced)
        #expect(!Declarations(["struct A { let b = (1] }"]).isBalanced)
    }
}
