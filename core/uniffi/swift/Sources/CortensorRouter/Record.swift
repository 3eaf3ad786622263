/// A record of the router, with the names of the REST API: `record["status"].string`.
public struct Record: Sendable, Equatable, CustomStringConvertible {
    /// The record as JSON.
    public let json: JSON

    init(_ json: JSON) { self.json = json }

    init(parsing text: String) throws { self.json = try JSON.parse(text) }

    /// A field; null if there is none.
    public subscript(_ name: String) -> JSON { json[name] }

    public var description: String { (try? json.text("record")) ?? "" }
}

/// A page of records.
public struct Page: Sendable, RandomAccessCollection {
    private let records: [Record]
    /// How many records there are beside this page, too.
    public let total: Int64

    init(parsing text: String, _ name: String) throws {
        let json = try JSON.parse(text)
        self.records = json[name].items.map(Record.init)
        self.total = json["count"].integer ?? Int64(records.count)
    }

    public var startIndex: Int { records.startIndex }
    public var endIndex: Int { records.endIndex }
    public subscript(_ index: Int) -> Record { records[index] }
}

/// A finished task's answer.
public struct Completion: Sendable, CustomStringConvertible {
    /// The whole record.
    public let record: Record

    init(parsing text: String) throws { self.record = try Record(parsing: text) }

    private var choice: JSON { record["choices"][0] }

    /// The answer's text.
    public var text: String { choice["text"].string ?? "" }

    /// The calls of tools, as in OpenAI's API; empty if there is none.
    public var toolCalls: [JSON] { choice["message"]["tool_calls"].items }

    /// The model's reasoning before its answer, if it is known.
    public var reasoning: String { choice["message"]["reasoning_content"].string ?? "" }

    /// The token counts.
    public var usage: JSON { record["usage"] }

    public var description: String { text }
}

/// Vectors of texts, in the order of the texts.
public struct Embeddings: Sendable {
    /// The whole record.
    public let record: Record

    /// The numbers alone.
    public var vectors: [[Double]] {
        record["data"].items.map { one in one["embedding"].items.compactMap(\.number) }
    }
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
