import CortensorRouterNative

/// A submitted task. (Swift has a `Task` of its own.)
public final class RouterTask: @unchecked Sendable {
    private let native: NativeTask
    /// Whether leaving the tokens early cancels the task.
    private let owned: Bool

    /// The session.
    public let sessionID: UInt64
    /// The task's id in its session.
    public let id: UInt64
    /// The task's id among all sessions.
    public let gid: UInt64
    /// Whether an idempotency key led to a task that existed already.
    public let joined: Bool

    init(_ message: NativeMessage, owned: Bool) throws {
        guard case .task(_, let task, let session, let id, let gid, let joined) = message else {
            throw Bridge.unexpected
        }
        self.native = task
        self.sessionID = session
        self.id = id
        self.gid = gid
        self.joined = joined
        self.owned = owned && !joined
    }

    /// The tokens as they come. Leaving the loop early, or cancelling the task of Swift that reads, cancels the task:
    /// read `tokens(after:)` where it should not.
    public var tokens: AsyncThrowingStream<String, Error> { texts(after: 0, cancels: owned) }

    /// The tokens after that number, 0 for all. Leaving this loop early cancels nothing.
    public func tokens(after: UInt64) -> AsyncThrowingStream<String, Error> { texts(after: after, cancels: false) }

    /// The tokens after that number with their numbers, restarts, and the end. An end without an answer throws what
    /// there is in its place.
    public func events(after: UInt64 = 0) -> AsyncThrowingStream<Event, Error> {
        stream(after: after, cancels: false) { event, give in
            switch event {
            case .tokens(let seq, let texts):
                for (index, text) in texts.enumerated() { give(.token(seq: seq + UInt64(index), text: text)) }
            case .restart(let seq): give(.restart(seq: seq))
            case .completed(let completion): give(.end(try Completion(parsing: completion)))
            case .failed(let error): throw RouterError(error)
            }
        }
    }

    /// The task's present record.
    public func record() async throws -> TaskRecord {
        try TaskRecord(parsing: await Bridge.shared.text(cancels: true) { try self.native.record(token: $0) })
    }

    /// Waits for the end and gives the answer, any number of times.
    public func result() async throws -> Completion {
        try Completion(parsing: await Bridge.shared.text(cancels: true) { try self.native.result(token: $0) })
    }

    /// Waits for the end and gives the answer's text.
    public func text() async throws -> String {
        try await Bridge.shared.text(cancels: true) { try self.native.textOfAnswer(token: $0) }
    }

    /// Cancels the task, even if other callers wait for it.
    public func cancel() throws { try CortensorRouter.native { try native.cancel() } }

    /// Detaches the task: from now on, no caller that leaves cancels it.
    public func detach() throws { try CortensorRouter.native { try native.detach() } }

    /// Lets go of the task, which cancels it unless somebody else holds it or it is detached. A task that ends by
    /// itself need not be released.
    public func release() { native.release() }

    private func texts(after: UInt64, cancels: Bool) -> AsyncThrowingStream<String, Error> {
        var spoke = after > 0
        return stream(after: after, cancels: cancels) { event, give in
            switch event {
            case .tokens(_, let texts):
                spoke = true
                texts.forEach(give)
            case .restart:
                if spoke {
                    let message = "another miner starts over, and what was read is void: read events() to go on"
                    throw RouterError(kind: .minerFailed, message: message, code: "stream_restarted")
                }
            case .completed: break
            case .failed(let error): throw RouterError(error)
            }
        }
    }

    /// A stream that reads the next batch when the ones before were read: it holds no more than one.
    private func stream<T: Sendable>(
        after: UInt64,
        cancels: Bool,
        _ convert: @escaping (NativeEvent, (T) -> Void) throws -> Void
    ) -> AsyncThrowingStream<T, Error> {
        let reader = Reader(self, after, cancels, convert)
        return AsyncThrowingStream { try await reader.next() }
    }

    /// Reads one stream. Leaving the loop releases it.
    private final class Reader<T: Sendable> {
        private let task: RouterTask
        private let after: UInt64
        private var cancels: Bool
        private let convert: (NativeEvent, (T) -> Void) throws -> Void
        private var stream: NativeStream?
        private var batch: [T] = []
        private var read = 0

        init(
            _ task: RouterTask,
            _ after: UInt64,
            _ cancels: Bool,
            _ convert: @escaping (NativeEvent, (T) -> Void) throws -> Void
        ) {
            self.task = task
            self.after = after
            self.cancels = cancels
            self.convert = convert
        }

        func next() async throws -> T? {
            while read == batch.count {
                batch.removeAll(keepingCapacity: true)
                read = 0
                let stream = try self.stream ?? CortensorRouter.native { try task.native.stream(after: after) }
                self.stream = stream
                do {
                    guard let events = try await Bridge.shared.ready({ try stream.take(token: $0) }) else {
                        cancels = false
                        return nil
                    }
                    for event in events {
                        if case .failed = event { cancels = false }
                        if case .completed = event { cancels = false }
                        do {
                            try convert(event) { batch.append($0) }
                        } catch {
                            // A task that begins again goes on.
                            if case .restart = event { cancels = false }
                            throw error
                        }
                    }
                } catch {
                    leave()
                    throw error
                }
            }
            defer { read += 1 }
            return batch[read]
        }

        private func leave() {
            stream?.release()
            if cancels { try? task.cancel() }
            cancels = false
        }

        deinit { leave() }
    }
}
