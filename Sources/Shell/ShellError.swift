import Foundation
import StateStore

/// What the outside world refused. Each description is one line that names the thing and the cure.
public enum ShellError: Error, Equatable, Sendable {
    /// Another process holds the UDP port.
    case portTaken(port: UInt16)
    /// The port is below 1,024 and this user may not bind it.
    case portForbidden(port: UInt16)
    /// The address is no address of this machine.
    case addressUnavailable(String)
    /// Text that is no IPv4 or IPv6 address.
    case notAnAddress(String)
    /// A system call failed for another reason.
    case system(call: String, reason: String)
    /// A file could not be read or written.
    case file(path: String, reason: String)
    /// A file was read and its content is not what it must be.
    case badFile(path: String, reason: String)
    /// The store cannot be opened or used.
    case store(path: String, StoreError)
    /// What the store holds is not what its hashes say; how many other such places were found.
    case damaged(path: String, StateFault, others: Int)
    /// The store holds the state of another network.
    case anotherNetwork(path: String, networkFile: String, field: String, found: String, expected: String)
    /// Another process works on this data directory.
    case dataDirectoryInUse(String)
    /// There is no data directory, or none that a node has worked in.
    case noDataDirectory(String)
    /// A key file stands there already; keys are never overwritten.
    case keyExists(String)
    /// A file stands where a new one was to be made.
    case fileExists(String)
    /// A secret that others may read.
    case keyReadableByOthers(String)
    /// No network of that name is installed; those that are, and where they are looked for.
    case noSuchNetwork(String, known: [String], folders: [String])
    /// No key with the wanted id was found in the attempts made.
    case noSuchKey(attempts: Int)

    /// The error of a system call that returned `-errno`.
    static func system(_ call: String, _ result: Int32) -> ShellError {
        .system(call: call, reason: String(cString: strerror(-result)))
    }
}

extension ShellError {
    /// What a store said, with the directory that it is in.
    init(_ error: StoreError, dataDirectory: DataDirectory, networkFile: String) {
        switch error {
        case .wrongNetwork(let field, let found, let expected):
            self = .anotherNetwork(
                path: dataDirectory.path, networkFile: networkFile, field: field, found: found, expected: expected)
        case .missing: self = .noDataDirectory(dataDirectory.path)
        case .locked: self = .dataDirectoryInUse(dataDirectory.path)
        default: self = .store(path: dataDirectory.path, error)
        }
    }

    private static func text(_ error: StoreError) -> String {
        guard case .system(let code, let operation) = error else { return error.description }
        return "cannot \(operation) (\(String(cString: strerror(code)))): check the disk and the permissions"
    }
}

extension ShellError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .portTaken(let port):
            return "UDP port \(port) is taken by another process: give another with --udp-port (0 picks a free one)"
        case .portForbidden(let port):
            return "UDP port \(port) needs root: give one above 1023 with --udp-port"
        case .addressUnavailable(let address):
            return "\(address) is no address of this machine: give another with --listen-address"
        case .notAnAddress(let text):
            return "'\(text)' is no IP address: write it as 127.0.0.1 or ::1"
        case .system(let call, let reason): return "\(call): \(reason)"
        case .file(let path, let reason):
            return "\(path): \(reason)" + (reason.contains(": ") ? "" : ": check the path and its permissions")
        case .badFile(let path, let reason): return "\(path): \(reason)"
        case .store(let path, let error): return "\(path): \(ShellError.text(error))"
        case .damaged(let path, let fault, let others):
            let more = others == 0 ? "" : others == 1 ? ", and one more place" : ", and \(others) more places"
            return "\(path): \(fault)\(more): the store is damaged: \(StoreError.renewal)"
        case .anotherNetwork(let path, let file, let field, let found, let expected):
            return "\(path): holds the state of another network (its \(field) is \(found), that of \(file) is "
                + "\(expected)): give another directory with --data-dir, or its own network file"
        case .dataDirectoryInUse(let path):
            return "\(path): another process works here: stop it, or give another directory with --data-dir"
        case .noDataDirectory(let path):
            return "\(path): no node has worked here: give its directory with --data-dir"
        case .keyExists(let path): return "\(path): exists already, and a key is never overwritten: give another name"
        case .fileExists(let path): return "\(path): is there already: give another name"
        case .keyReadableByOthers(let path): return "\(path): others may read this secret: run chmod 600 on it"
        case .noSuchNetwork(let name, let known, let folders):
            let names = known.isEmpty ? "none is installed" : "there are " + known.joined(separator: ", ")
            return "no network is named '\(name)' (\(names), looked for in \(folders.joined(separator: ", "))): give "
                + "its file with --network"
        case .noSuchKey(let attempts):
            return "no key with such an id among \(attempts): ask for fewer bits with --id-prefix"
        }
    }
}
