import Chain
import ChainLab
import Primitives
import Testing

@Suite struct CertificateTests {
    @Test func theLayoutIsAsSpecified() throws {
        let made = try MadeChain.voted()
        let certificate = try #require(made.certified(made.genesis, by: [1], final: made.genesis).certificate)
        let bytes = certificate.encoded
        #expect(bytes.count == 2 * SignedClaim.byteCount)
        #expect(bytes[0] == 0 && bytes[SignedClaim.byteCount] == 1)
        #expect(Array(bytes[1..<9]) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[9..<41]) == made.genesis.hash.bytes)
        #expect(Array(bytes[41..<49]) == [100, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[49..<81]) == made.keys[1].publicKey.bytes)
        #expect(try Certificate(decoding: bytes) == certificate)
    }

    @Test func theSignedMessageIsAsSpecified() throws {
        let claim = Claim(kind: .final, point: StatePoint(number: 258, hash: .max), unixSeconds: 1)
        let message = ClaimContext(chainID: 7, genesisHash: .zero).message(claim)
        let expected =
            Array("carousel chain claim v1".utf8) + [7, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 32) + [1]
            + [2, 1, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 255, count: 32) + [1, 0, 0, 0, 0, 0, 0, 0]
        #expect(message == expected)
    }

    @Test func sizesAndOrdersThatAreRefused() throws {
        let made = try MadeChain.voted()
        let bytes = try #require(made.certified(made.genesis, by: [0, 1, 2]).certificate).encoded
        let size = SignedClaim.byteCount
        for length in [0, 1, size - 1, size + 1, bytes.count - 1] {
            #expect(throws: ChainError.certificate(.wrongSize(bytes: length))) {
                try Certificate(decoding: Array(bytes.prefix(length)))
            }
        }
        let many = [UInt8](repeating: 0, count: size * (ChainLimits.certificateClaims + 1))
        #expect(throws: ChainError.certificate(.wrongSize(bytes: many.count))) { try Certificate(decoding: many) }
        let swapped = Array(bytes[size..<2 * size] + bytes[..<size] + bytes[(2 * size)...])
        #expect(throws: ChainError.certificate(.claimOrder)) { try Certificate(decoding: swapped) }
        let twice = Array(bytes[..<size] + bytes)
        #expect(throws: ChainError.certificate(.claimOrder)) { try Certificate(decoding: twice) }
        var kind = bytes
        kind[2 * size] = 2
        #expect(throws: ChainError.certificate(.unknownKind(2))) { try Certificate(decoding: kind) }
    }

    @Test func aNewerClaimReplacesAnOlderOne() throws {
        let made = try MadeChain.voted()
        let old = made.claim(.head, made.genesis, key: 0, time: 5)
        let new = made.claim(.head, made.genesis, key: 0, time: 6)
        #expect(Certificate([old, new])?.claims == [new])
        #expect(Certificate([new, old])?.claims == [new])
        #expect(Certificate([]) == nil)
    }

    /// Must-reject: no certificate with a bit flipped, in any place, makes its header attested.
    @Test func noDamagedCertificateIsAccepted() throws {
        let made = try MadeChain.voted(threshold: 1)
        let header = try MadeChain.header(parent: made.genesis, salt: 1)
        let entry = made.certified(header, by: [0], final: header)
        let bytes = try #require(entry.certificate).encoded
        for offset in bytes.indices {
            for bit in [0, 3, 7] {
                var damaged = bytes
                damaged[offset] ^= 1 << UInt8(bit)
                var chain = AttestedChain(configuration: made.configuration)
                #expect(throws: ChainError.self, "byte \(offset) bit \(bit)") {
                    let certificate = try Certificate(decoding: damaged)
                    _ = try chain.accept([CertifiedHeader(header: header, certificate: certificate)])
                }
                #expect(chain.head == made.genesis.point)
                #expect(chain.unfinalCount == 0)
            }
        }
    }

    @Test func claimsDoNotTravelBetweenChains() throws {
        let made = try MadeChain.voted(threshold: 1)
        let header = try MadeChain.header(parent: made.genesis, salt: 1)
        let claim = Claim(kind: .head, point: header.point, unixSeconds: 1)
        let foreign = [
            ClaimContext(chainID: MadeChain.chainID + 1, genesisHash: made.genesis.hash),
            ClaimContext(chainID: MadeChain.chainID, genesisHash: .max),
        ]
        for context in foreign {
            var chain = AttestedChain(configuration: made.configuration)
            let certificate = Certificate([made.keys[0].sign(claim, in: context)])
            #expect(throws: ChainError.certificate(.badSignature(signer: made.keys[0].publicKey))) {
                _ = try chain.accept([CertifiedHeader(header: header, certificate: certificate)])
            }
        }
    }

    @Test func strangersAndOtherHeadersAreRefused() throws {
        let made = try MadeChain.voted(threshold: 1)
        let run = try MadeChain.run(on: made.genesis, 3)
        let stranger = try #require(AttestingKey(seed: .max))
        var chain = AttestedChain(configuration: made.configuration)
        func offer(_ header: BlockHeader, _ claims: [SignedClaim]) throws {
            _ = try chain.accept([CertifiedHeader(header: header, certificate: Certificate(claims))])
        }
        let claim = Claim(kind: .head, point: run[0].point, unixSeconds: 1)
        #expect(throws: ChainError.certificate(.unknownSigner(stranger.publicKey))) {
            try offer(run[0], [stranger.sign(claim, in: made.context)])
        }
        #expect(throws: ChainError.certificate(.notOfThisHeader(run[1].point))) {
            try offer(run[0], [made.claim(.head, run[1], key: 0)])
        }
        #expect(throws: ChainError.certificate(.notOfThisHeader(run[1].point))) {
            try offer(run[0], [made.claim(.final, run[1], key: 0)])
        }
        let sibling = try MadeChain.header(parent: made.genesis, salt: 9)
        _ = try chain.accept(made.bare(run))
        #expect(throws: ChainError.certificate(.notOfThisHeader(sibling.point))) {
            try offer(run[2], [made.claim(.final, sibling, key: 0)])
        }
    }
}
