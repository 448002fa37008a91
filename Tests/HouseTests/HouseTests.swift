import Testing

/// The tools of the house test themselves: a rule that finds nothing is worth nothing.
@Suite struct HouseToolTests {
    private func blank(_ text: String) -> String {
        var blanker = Blanker(Array(text))
        return blanker.blanked()
    }

    @Test func commentsAndStringsAreBlanked() {
        #expect(blank("a // try!") == "a        ")
        #expect(blank("/* a /* b */ c */ d") == "                  d")
        #expect(blank(#"let s = "try! \" x" + y"#) == #"let s = "         " + y"#)
        #expect(blank(#""a \(b(c) + "d") e" f"#) == #""   (b(c) + " ")  " f"#)
        #expect(blank("#\"a \\(b) \"c\"# d") == "#\"         \"# d")
        #expect(blank(#"let p = /a\/[{"]/ + b / c / d"#) == "let p =           + b / c / d")
        #expect(blank("f(/{/, a: /[(]/) / (b / c)") == "f(   , a:      ) / (b / c)")
        #expect(blank("\"\"\"\na\n\"\"\" b") == "\"\"\"\n \n\"\"\" b")
    }

    @Test func functionBodiesAreMeasured() {
        let code = ["func a() {", "  if b {", "  }", "}", "protocol P {", "  func c()", "}", "init(", ") {", "}"]
        #expect(Functions(code).bodies == [0..<4, 7..<10])
        #expect(Functions(["let x = .init(a) {", "}"]).bodies == [])
        #expect(Functions(["func a(b: () -> Void = { c() }) -> D { d", "}"]).bodies == [0..<2])
    }

    @Test func requirementsOfProtocolsAreFound() {
        let protocols = Requirements([
            ["public protocol P {", "    func a(b: Int)", "    var c: Int { get }", "}", "func d()"]
        ])
        #expect(protocols.names == ["P": ["a", "c"]])
        #expect(protocols.names(metIn: ["public struct S<T>: Q, P {"]) == ["a", "c"])
        #expect(protocols.names(metIn: ["extension A.B: P where T == Int {"]) == ["a", "c"])
        #expect(protocols.names(metIn: ["public struct S: Q {", "let p: P"]) == [])
    }

    @Test func manifestFormsAreRead() {
        let manifest = """
            targets: [
                // Floor 0: kernels
                .target(name: "CX"),
                .systemLibrary(name: "CY", pkgConfig: "liby", providers: [.apt(["liby-dev"])]),
                // Floor 1
                floor("P", ["CX", "CY"]),
                floor(
                    "Q",
                    [
                        "P",
                    ]),
                // Tests, one a floor's target
                tests("P", ["Q"]),
            ]
            """
        let targets = House.parse(manifest)
        #expect(targets.map(\.name) == ["CX", "CY", "P", "Q", "PTests"])
        #expect(targets.map(\.floor) == [0, 0, 1, 1, nil])
        #expect(targets.map(\.dependencies) == [[], [], ["CX", "CY"], ["P"], ["Primitives", "TestSupport", "Q"]])
    }
}
