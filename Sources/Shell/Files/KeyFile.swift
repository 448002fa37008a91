import CSodium
import Discovery
import Foundation
import Primitives

/// Secrets in files: one line, 32 bytes in hex, readable by the owner only. Written once, never overwritten.
public enum KeyFile {
    /// Writes a secret into a new file, which is there whole or not at all.
    public static func write(_ secret: [UInt8], to path: String) throws(ShellError) {
        do throws(ShellError) {
            try WholeFile.write(Hex.prefixed(secret) + "\n", to: path, .mustBeFree, permissions: 0o600)
        } catch {
            if case .fileExists = error { throw .keyExists(path) }
            throw error
        }
    }

    /// Reads a secret.
    public static func read(_ path: String) throws(ShellError) -> [UInt8] {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .file(path: path, reason: String(cString: strerror(errno))) }
        guard status.st_mode & 0o077 == 0 else { throw .keyReadableByOthers(path) }
        guard let text = FileManager.default.contents(atPath: path).map({ String(decoding: $0, as: UTF8.self) }) else {
            throw .file(path: path, reason: "cannot be read")
        }
        // Earlier versions wrote a key in its place, and a crash on the way left nothing in it, or zeros.
        guard text.contains(where: { $0 != "\0" && !$0.isWhitespace }) else {
            throw .badFile(
                path: path,
                reason: "is empty, as a crash while it was written leaves it: delete it; a node then makes itself a "
                    + "new identity, and 'carousel key' a new key")
        }
        guard let bytes = Hex.decode(text.trimmingCharacters(in: .whitespacesAndNewlines)), bytes.count == 32 else {
            throw .badFile(path: path, reason: "a key file is one line, 0x and 64 hex digits")
        }
        return bytes
    }

    /// The node's identity in a file.
    public static func readIdentity(_ path: String) throws(ShellError) -> IdentityKey {
        guard let key = IdentityKey(bytes: try read(path)) else {
            throw .badFile(path: path, reason: "no secp256k1 key: make one with 'carousel key node'")
        }
        return key
    }

    /// The identity in `path`; where there is no such file, a new one is made and written.
    public static func identity(at path: String) throws(ShellError) -> IdentityKey {
        if FileManager.default.fileExists(atPath: path) { return try readIdentity(path) }
        var entropy = SystemEntropy.make()
        let key = IdentityKey(from: &entropy)
        try write(key.exportSecret(), to: path)
        return key
    }

    /// The Ed25519 public key of a 32-byte seed.
    public static func signingPublicKey(ofSeed seed: [UInt8]) -> Bytes32 {
        var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_PUBLICKEYBYTES))
        var secretKey = [UInt8](repeating: 0, count: Int(crypto_sign_SECRETKEYBYTES))
        // Defined for every seed; the function only reports 0.
        _ = crypto_sign_seed_keypair(&publicKey, &secretKey, seed)
        sodium_memzero(&secretKey, secretKey.count)
        return Bytes32(publicKey) ?? .zero
    }
}
