/// A record of the router. Its structure has a property for each member: `miner.firstTokenMs`. The subscript reads a
/// member by its name in the REST API, also one that is newer than this package: `miner["first_token_ms"].number`.
public protocol RouterRecord: Sendable, Equatable, CustomStringConvertible {
    /// The whole record.
    var json: JSON { get }

    /// Makes a record of JSON. A member that is absent or of another type counts as empty.
    init(_ json: JSON)
}

extension RouterRecord {
    init(parsing text: String) throws { self.init(try JSON.parse(text)) }

    /// A member; null if there is none.
    public subscript(_ name: String) -> JSON { json[name] }

    /// The record as JSON text.
    public var description: String { (try? json.text("record")) ?? "" }
}

/// A record without a structure of its own: the configuration.
public struct Record: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }
}

/// A page of records.
public struct Page<Element: RouterRecord>: Sendable, RandomAccessCollection {
    private let records: [Element]

    /// The whole page, with all that stands beside its records.
    public let json: JSON

    /// How many records there are beside this page, too.
    public var total: Int64 { json["count"].integer ?? Int64(records.count) }

    init(parsing text: String, _ name: String) throws {
        let json = try JSON.parse(text)
        self.json = json
        self.records = json[name].items.map { Element($0) }
    }

    /// The place of the first record.
    public var startIndex: Int { records.startIndex }
    /// The place behind the last record.
    public var endIndex: Int { records.endIndex }
    /// The record at a place.
    public subscript(_ index: Int) -> Element { records[index] }
}

extension Completion {
    /// The answer's text.
    public var text: String { choices.first?.text ?? "" }

    /// The calls of tools, as in OpenAI's API; empty if there is none.
    public var toolCalls: [ToolCall] { choices.first?.message.toolCalls ?? [] }

    /// The model's reasoning before its answer; empty if it is not known.
    public var reasoning: String { choices.first?.message.reasoning ?? "" }

    /// The answer's text.
    public var description: String { text }
}

/// An answer as a message.
public struct Message: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// `assistant`
    public var role: String { json["role"].asText }

    /// The text.
    public var content: String { json["content"].asText }

    /// The model's reasoning before its answer; empty if it is not known.
    public var reasoning: String { json["reasoning_content"].asText }

    /// The calls of tools; empty if there is none.
    public var toolCalls: [ToolCall] { json["tool_calls"].items.map { ToolCall($0) } }
}

/// A call of a tool, as in OpenAI's API.
public struct ToolCall: RouterRecord {
    /// The whole record.
    public let json: JSON

    /// Makes a record of JSON.
    public init(_ json: JSON) { self.json = json }

    /// The call's id, by which the tool's answer names it.
    public var id: String { json["id"].asText }

    /// `function`
    public var type: String { json["type"].asText }

    /// The name of the function that is called.
    public var name: String { json["function"]["name"].asText }

    /// The arguments of the function, as JSON text.
    public var arguments: String { json["function"]["arguments"].asText }
}

extension Embeddings {
    /// The numbers alone.
    public var vectors: [[Double]] { data.map { $0.embedding } }
}

/// The values of members. A member that is absent or of another type counts as empty.
extension JSON {
    var asText: String { string ?? "" }
    var asFlag: Bool { bool ?? false }
    var asWhole: Int64 { integer ?? 0 }
    var asId: UInt64 { UInt64(clamping: integer ?? 0) }
    var asDecimal: Double { number ?? 0 }
    var asTexts: [String] { items.compactMap { $0.string } }
    var asIds: [UInt64] { items.map { $0.asId } }
    var asDecimals: [Double] { items.compactMap { $0.number } }

    /// Reads a member that may be absent; nil if it is.
    func given<T>(_ read: (JSON) -> T) -> T? { self == .null ? nil : read(self) }
}

/// An event of a task's stream.
public enum Event: Sendable {
    /// A piece of the text, with its number: one more than that of the event before it.
    case token(seq: UInt64, text: String)
    /// All pieces before this one are void: another miner or a later start begins anew.
    case restart(seq: UInt64)
    /// The end, exactly one and last, with the whole answer.
    case end(Completion)
}
