import Foundation

/// One line for an error of any kind. Ours describe themselves; those of the system's libraries are told as they tell
/// users, without their domain and their dictionary.
public enum ErrorLine {
    /// The text, on one line.
    public static func text(_ error: any Error) -> String {
        let text = isSystem(error) ? (error as NSError).localizedDescription : "\(error)"
        return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
            .joined(separator: " ")
    }

    private static func isSystem(_ error: any Error) -> Bool {
        error is CocoaError || error is POSIXError || error is URLError || type(of: error) is NSError.Type
    }
}
