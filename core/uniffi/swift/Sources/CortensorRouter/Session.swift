/// A session, to which tasks are submitted.
public struct Session: Sendable {
    private let router: Router
    /// The record as it was read.
    public let record: SessionRecord

    init(_ router: Router, _ record: SessionRecord) {
        self.router = router
        self.record = record
    }

    /// The session's id.
    public var id: UInt64 { record.id }

    /// The session's name.
    public var name: String { record.name }

    /// Submits a task, and returns when it is durable.
    public func submit(_ prompt: String? = nil, _ options: Options = [:]) async throws -> RouterTask {
        try await router.submit(prompt, options, session: id)
    }

    /// Submits a task and waits for its answer. Cancelling the waiting task of Swift cancels the task.
    public func complete(_ prompt: String? = nil, _ options: Options = [:]) async throws -> Completion {
        try await router.complete(prompt, options, session: id)
    }

    /// Gives the vectors of texts, in their order.
    public func embed(_ input: [String], _ options: Options = [:]) async throws -> Embeddings {
        try await router.embed(input, options, session: id)
    }

    /// Changes the given fields, and gives the session as it is then.
    public func update(_ changes: Options) async throws -> Session {
        Session(router, try await router.updateSession(id, changes))
    }

    /// Closes the session: it takes no new tasks, and running ones end.
    public func close() async throws -> Session { Session(router, try await router.closeSession(id)) }

    /// The record of one of the session's tasks.
    public func task(_ task: UInt64) async throws -> TaskRecord { try await router.task(session: id, task: task) }

    /// A page of the session's tasks, oldest first inside it: the newest page, or from `offset` on.
    public func tasks(_ query: Options = [:]) async throws -> Page<TaskRow> {
        try await router.tasks(session: id, query)
    }

    /// Joins one of the session's tasks, running or ended.
    public func attach(_ task: UInt64) async throws -> RouterTask { try await router.attach(session: id, task: task) }

    /// Cancels one of the session's tasks.
    public func cancel(_ task: UInt64) async throws -> TaskRecord { try await router.cancel(session: id, task: task) }
}
