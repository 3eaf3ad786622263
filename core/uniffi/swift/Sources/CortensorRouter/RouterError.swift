import CortensorRouterNative

/// An error of the router: a refusal or a failure.
public struct RouterError: Error, Sendable, CustomStringConvertible {
    /// The kind, which says what to do.
    public let kind: Kind
    /// The finest code: one below the kind (`no_miner`), or the kind.
    public let code: String
    /// The problem and how to mend it.
    public let message: String
    /// Whether the same call may succeed later, unchanged.
    public let retryable: Bool
    /// The field or argument at fault, where one is.
    public let param: String?
    /// Everything that is known of the error, by the names of the REST API.
    public let details: JSON

    init(kind: Kind, message: String, code: String? = nil, param: String? = nil) {
        self.kind = kind
        self.code = code ?? kind.rawValue
        self.message = message
        self.retryable = false
        self.param = param
        self.details = .null
    }

    /// Makes the error of its JSON.
    init(_ text: String) {
        let details = (try? JSON.parse(text)) ?? .null
        self.kind = details["kind"].string.flatMap(Kind.init(rawValue:)) ?? .internal
        self.code = details["code"].string ?? self.kind.rawValue
        self.message = details["message"].string ?? text
        self.retryable = details["retryable"].bool ?? false
        self.param = details["param"].string
        self.details = details
    }

    public var description: String { message }
}

/// An error that a miner throws to give its failure a code: `overloaded`, `internal` ...
public struct JobError: Error, Sendable {
    /// The reason for the failure, in one word.
    public let code: String
    /// The reason for the failure.
    public let message: String

    public init(_ code: String, _ message: String) {
        self.code = code
        self.message = message
    }
}

/// Makes a native call whose errors are the package's.
func native<T>(_ call: () throws -> T) throws -> T {
    do {
        return try call()
    } catch NativeError.Refused(_, _, _, _, let details) {
        throw RouterError(details)
    }
}
