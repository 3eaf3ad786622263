import CortensorRouterNative

/// A job in the hands of a miner. Any thread may answer it, once, at any later time.
public final class Job: @unchecked Sendable {
    let native: NativeJob

    init(_ native: NativeJob) { self.native = native }

    /// The whole text that the model is to read.
    public var prompt: String { native.prompt() }

    /// The job's record: its task, its deadline, and the text that another miner gave before it was lost.
    public func info() throws -> JobInfo { try JobInfo(parsing: CortensorRouter.native { try native.info() }) }

    /// The caller's request: `messages`, `max_tokens`, `temperature` ...
    public func request() throws -> JSON { try info().request }

    /// Whether the work is no longer wanted, or was answered.
    public var isCancelled: Bool { native.isCancelled() }

    /// Whether the job was answered.
    public var isAnswered: Bool { native.isAnswered() }

    /// Gives the next piece of the answer, and waits while the reader is slow. Throws `CancellationError` if nobody
    /// wants the answer any more.
    public func emit(_ piece: String) async throws {
        try await heed(CortensorRouter.native { try native.emit(piece: piece) })
    }

    /// Gives a piece with other parts: `["reasoning": "..."]`, `["tool_calls": [...]]`. Otherwise as `emit(_:)`.
    public func emit(parts: Options) async throws {
        let text = try parts.text("piece")
        try await heed(CortensorRouter.native { try native.emitParts(parts: text) })
    }

    /// Gives several pieces that the miner has at once. Otherwise as `emit(_:)`.
    public func emit(each pieces: [String]) async throws {
        try await heed(CortensorRouter.native { try native.emitEach(pieces: pieces) })
    }

    /// Gives the next piece and does not wait for a slow reader. false: the answer is no longer wanted, stop.
    public func tryEmit(_ piece: String) throws -> Bool {
        switch try CortensorRouter.native({ try native.emit(piece: piece) }) {
        case .taken, .full: return true
        case .cancelled, .answered: return false
        }
    }

    /// Ends the work. If pieces were emitted, they are the text; usage that is not given is estimated. The parts are
    /// `reasoning`, `tool_calls`, `finish_reason`, `usage`, `model` and `embedding`.
    public func finish(_ text: String? = nil, parts: Options = [:]) throws {
        let answer = try parts.text("answer", with: text.map { ["text": .string($0)] } ?? [:])
        try Bridge.shared.here { try native.finish(answer: answer) }
    }

    /// Ends the work with a failure; the codes are those of `JobError`.
    public func fail(_ code: String, _ message: String) throws {
        try Bridge.shared.here { try native.fail(code: code, message: message) }
    }

    /// Gives the job back: another miner is tried, and this one is not blamed.
    public func reject(_ reason: String) throws { try Bridge.shared.here { try native.reject(reason: reason) } }

    /// Lets go of the job. If it was not answered, it counts as failed.
    public func release() { native.release() }

    private func heed(_ said: NativeEmit) async throws {
        switch said {
        case .taken: return
        case .full:
            _ = try await Bridge.shared.call { number in
                try self.native.onWritable(token: number)
                return false
            }
            if isCancelled { throw CancellationError() }
        case .cancelled, .answered: throw CancellationError()
        }
    }
}
