// Conformance: `carousel vectors`, the published test vectors run against the codecs and verifiers that the node
// itself uses.
//
// Terms. A *vector file* is JSON of one kind; its kind is its file name (`rlp.json`, `enr.json`, …). A *suite* knows
// one kind: it is given the parsed file and answers with one *outcome* a case. A *report* is what is printed.
//
//     paths ──▶ ConformanceRunner ──▶ suite of that file name ──▶ [CaseOutcome] ──▶ ConformanceReport ──▶ lines or JSON
//
// What decides a case: `valid` true = accepted and every given field equal; false = refused with a typed error; null =
// implementations differ, either is right as long as nothing crashes (counted as *policy*); absent = true. A case that
// cannot be read at all is a failure whatever it says, so that a misspelt field never passes as a refusal.
//
// Why not tests only: users run the command on vector files of their own, made by other implementations.
