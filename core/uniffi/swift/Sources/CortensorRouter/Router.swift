import CortensorRouterNative
import Foundation

/// A router for AI inference inside this program: it owns its threads, its store and its miners.
///
///     let router = try await Router.open()
///     try router.miner("shout") { job in try job.finish(job.prompt.uppercased()) }
///     print(try await router.complete("hello").text)
///     try await router.shutdown()
///
/// Options have the names of the REST API: `router.complete("hello", ["max_tokens": 64])`.
public final class Router: @unchecked Sendable {
    /// The version of the product.
    public static let version = "0.1.0"

    private let native: NativeRouter
    private let log: UInt64
    private let lock = NSLock()
    private var kept: [String: Miner] = [:]

    private init(_ native: NativeRouter, _ log: UInt64) {
        self.native = native
        self.log = log
    }

    /// Opens a router. The settings are those of the configuration; without `data_dir` the store is in memory. `log`
    /// gets the level, the part of the router that speaks, and the text of each record.
    public static func open(
        _ config: Options = [:],
        log: (@Sendable (_ level: String, _ target: String, _ message: String) -> Void)? = nil
    ) async throws -> Router {
        let bridge = Bridge.shared
        let number = log.map { log in
            bridge.handle { message in
                if case .log(_, _, let level, let target, let text) = message { log(level, target, text) }
            }
        }
        do {
            let text = try config.text("config")
            let opened = try await bridge.call { token in
                try openRouter(mailbox: bridge.mailbox, token: token, config: text, log: number ?? 0)
            }
            guard case .router(_, let router) = opened else { throw Bridge.unexpected }
            return Router(router, number ?? 0)
        } catch {
            number.map(bridge.forget)
            throw error
        }
    }

    /// Opens a router, and ends it when `body` has ended.
    public static func with<T>(_ config: Options = [:], _ body: (Router) async throws -> T) async throws -> T {
        let router = try await open(config)
        do {
            let value = try await body(router)
            try await router.shutdown()
            return value
        } catch {
            try? await router.shutdown()
            throw error
        }
    }

    /// Ends the router: listeners stop, running tasks are cancelled, the store is closed, and the functions of miners
    /// have ended.
    public func shutdown(timeoutMs: UInt64? = 10_000) async throws {
        _ = try await Bridge.shared.call { token in
            try self.native.shutdown(token: token, timeoutMs: timeoutMs)
            return false
        }
        let miners = locked { () -> [Miner] in
            defer { kept = [:] }
            return Array(kept.values)
        }
        for miner in miners { await miner.leave() }
        if log != 0 { Bridge.shared.forget(log) }
    }

    /// The configuration with every default; without secrets.
    public func config() throws -> Record { try record { try native.config() } }

    /// The router's identity and abilities.
    public func info() throws -> NodeInfo { try record { try native.info() } }

    /// The router's state.
    public func status() throws -> NodeStatus { try record { try native.status() } }

    /// All metrics in Prometheus' text format.
    public func metrics() throws -> String { try CortensorRouter.native { try native.metrics() } }

    /// The miners, of any kind.
    public func miners() throws -> Page<MinerInfo> {
        try Page(parsing: CortensorRouter.native { try native.miners() }, "miners")
    }

    /// The models that can be asked for.
    public func models() throws -> Page<ModelInfo> {
        try Page(parsing: CortensorRouter.native { try native.models() }, "models")
    }

    /// The usage by `day`, `key`, `model`, `session` or `miner`; this month where no days are given.
    public func usage(_ query: Options = [:]) async throws -> Page<UsagePart> {
        let query = try query.text("query")
        return try Page(parsing: await Bridge.shared.text { try self.native.usage(token: $0, query: query) }, "usage")
    }

    /// Adds a miner of that name. `work` answers a job, in a task of its own: it gives pieces with `job.emit`, or the
    /// whole answer with `job.finish`. The task of work that is no longer wanted is cancelled.
    ///
    /// The options are those of a miner: `models`, `capacity`, `weight`, `owner`, `embeddings` ... With `manual`,
    /// `work` only takes the job, and the program answers it later, from any thread.
    @discardableResult
    public func miner(
        _ name: String,
        _ options: Options = [:],
        manual: Bool = false,
        _ work: @escaping @Sendable (Job) async throws -> Void
    ) throws -> Miner {
        let spec = try options.text("miner", with: ["name": .string(name)])
        let workers = Workers(manual: manual, work)
        let number = Bridge.shared.handle { message in
            if case .job(_, let job) = message { workers.offer(job) }
        }
        do {
            let added = try CortensorRouter.native { try native.addMiner(token: number, spec: spec) }
            let miner = Miner(name, added, workers, number)
            locked { kept[name] = miner }
            return miner
        } catch {
            Bridge.shared.forget(number)
            throw error
        }
    }

    /// Adds an OpenAI-compatible server (llama.cpp, vLLM, Ollama ...). The settings are those of the configuration's
    /// `upstreams`. Its models are asked for in the background.
    public func addUpstream(_ url: String, _ settings: Options = [:]) throws {
        let upstream = try settings.text("upstream", with: ["url": .string(url)])
        try CortensorRouter.native { try native.addUpstream(upstream: upstream) }
    }

    /// Removes a miner of any kind by its name. Its tasks go to other miners.
    public func removeMiner(_ name: String) throws {
        try CortensorRouter.native { try native.removeMiner(name: name) }
        locked { kept.removeValue(forKey: name) }?.abandon()
    }

    /// Makes an API key for listeners. Its token cannot be read again later.
    public func createKey(_ name: String, _ options: Options = [:]) async throws -> NewKey {
        let spec = try options.text("key", with: ["name": .string(name)])
        return try await answered { try self.native.createKey(token: $0, spec: spec) }
    }

    /// The API keys, without their tokens.
    public func keys() async throws -> Page<ApiKey> {
        try Page(parsing: await Bridge.shared.text { try self.native.keys(token: $0) }, "keys")
    }

    /// Revokes an API key: listeners refuse it from now on and end its open requests.
    public func deleteKey(_ id: String) async throws {
        _ = try await Bridge.shared.call { try self.native.deleteKey(token: $0, key: id) }
    }

    /// Opens a session: tasks of one session share its model, limits and weight.
    public func createSession(_ name: String, _ options: Options = [:]) async throws -> Session {
        let spec = try options.text("session", with: ["name": .string(name)])
        return Session(self, try await answered { try self.native.createSession(token: $0, spec: spec) })
    }

    /// An existing session.
    public func session(_ id: UInt64) throws -> Session {
        Session(self, try record { try native.session(session: id) })
    }

    /// A page of sessions. The options are `state` (`open` or `closed`), `limit` and `offset`.
    public func sessions(_ query: Options = [:]) throws -> Page<SessionRecord> {
        let query = try query.text("query")
        return try Page(parsing: CortensorRouter.native { try native.sessions(query: query) }, "sessions")
    }

    func updateSession(_ id: UInt64, _ changes: Options) async throws -> SessionRecord {
        let patch = try changes.text("session")
        return try await answered { try self.native.updateSession(token: $0, session: id, patch: patch) }
    }

    func closeSession(_ id: UInt64) async throws -> SessionRecord {
        try await answered { try self.native.closeSession(token: $0, session: id) }
    }

    /// Submits a task, and returns when it is durable. Session 0 always exists.
    public func submit(
        _ prompt: String? = nil,
        _ options: Options = [:],
        session: UInt64 = 0
    ) async throws -> RouterTask {
        let request = try request(prompt, options, stream: true)
        let task = try await Bridge.shared.call {
            try self.native.submit(token: $0, session: session, request: request)
        }
        return try RouterTask(task, owned: options["detach"]?.bool != true)
    }

    /// Submits a task and waits for its answer. Cancelling the waiting task of Swift cancels the task.
    public func complete(
        _ prompt: String? = nil,
        _ options: Options = [:],
        session: UInt64 = 0
    ) async throws -> Completion {
        let request = try request(prompt, options, stream: false)
        let text = try await Bridge.shared.text(cancels: true) {
            try self.native.complete(token: $0, session: session, request: request)
        }
        return try Completion(parsing: text)
    }

    /// Gives the vectors of texts, in their order.
    public func embed(_ input: [String], _ options: Options = [:], session: UInt64 = 0) async throws -> Embeddings {
        var options = options
        options["input"] = .array(input.map(JSON.string))
        let request = try request(nil, options, stream: false)
        let text = try await Bridge.shared.text(cancels: true) {
            try self.native.embed(token: $0, session: session, request: request)
        }
        return try Embeddings(parsing: text)
    }

    /// A task's record.
    public func task(session: UInt64, task: UInt64) async throws -> TaskRecord {
        try await answered { try self.native.task(token: $0, session: session, task: task) }
    }

    /// A page of a session's tasks, oldest first inside it: the newest page, or from `offset` on. The options are
    /// `state`, `key`, `limit`, `offset` and `order`.
    public func tasks(session: UInt64 = 0, _ query: Options = [:]) async throws -> Page<TaskRow> {
        let query = try query.text("query")
        let text = try await Bridge.shared.text { try self.native.tasks(token: $0, session: session, query: query) }
        return try Page(parsing: text, "tasks")
    }

    /// Cancels a task, waits until that is durable, and gives its record.
    public func cancel(session: UInt64, task: UInt64) async throws -> TaskRecord {
        try await answered { try self.native.cancel(token: $0, session: session, task: task) }
    }

    /// Joins a task, running or ended.
    public func attach(session: UInt64, task: UInt64) async throws -> RouterTask {
        let found = try await Bridge.shared.call { try self.native.attach(token: $0, session: session, task: task) }
        return try RouterTask(found, owned: false)
    }

    /// Starts the HTTP listener; the settings are those of the configuration's `listen`: `["port": 0]`.
    public func listen(_ settings: Options = [:]) async throws -> Listener {
        let config = settings.isEmpty ? "" : try settings.text("listen")
        let message = try await Bridge.shared.call { try self.native.listen(token: $0, config: config) }
        guard case .listener(_, let listener) = message else { throw Bridge.unexpected }
        return Listener(listener)
    }

    /// The REST API without a socket, for servers of the program's own. The settings are those of `listen`.
    public func http(_ settings: Options = [:]) async throws -> HTTPHandler {
        let config = settings.isEmpty ? "" : try settings.text("listen")
        let message = try await Bridge.shared.call { try self.native.httpHandler(token: $0, config: config) }
        guard case .handler(_, let handler) = message else { throw Bridge.unexpected }
        return HTTPHandler(handler)
    }

    /// Takes no new tasks and waits until the present ones have ended. false: not all did within that time.
    public func drain(timeoutMs: UInt64) async throws -> Bool {
        let message = try await Bridge.shared.call { try self.native.drain(token: $0, timeoutMs: timeoutMs) }
        guard case .flag(_, let drained) = message else { throw Bridge.unexpected }
        return drained
    }

    private func locked<T>(_ work: () -> T) -> T {
        lock.lock()
        defer { lock.unlock() }
        return work()
    }

    private func record<R: RouterRecord>(_ call: () throws -> String) throws -> R {
        try R(parsing: CortensorRouter.native(call))
    }

    private func answered<R: RouterRecord>(_ call: (UInt64) throws -> Bool) async throws -> R {
        try R(parsing: await Bridge.shared.text(call))
    }
}

/// The names of the options of a request.
private let knownOptions = Set(requestOptions())

/// A request as JSON. A mistyped name would have no effect, or reach the miner as an unknown field: it is refused.
private func request(_ prompt: String?, _ options: Options, stream: Bool) throws -> String {
    var fields: Options = ["stream": .bool(stream)]
    for (name, value) in options where name != "extra" {
        if !knownOptions.contains(name) {
            let meant = meantRequestOption(name: name).map { "did you mean \($0)? " } ?? ""
            let message = "\(name) is no option of a request: \(meant)what is only for the miner goes into extra"
            throw RouterError(kind: .invalidArgument, message: message, param: name)
        }
        fields[name] = value
    }
    switch options["extra"] ?? .null {
    case .null: break
    case .object(let extra):
        if let name = extra.keys.first(where: knownOptions.contains) {
            let message = "extra: \(name) is an option of a request: give it beside extra"
            throw RouterError(kind: .invalidArgument, message: message, param: "extra")
        }
        fields.merge(extra) { _, last in last }
    default:
        let message = "extra must be an object with fields for the miner"
        throw RouterError(kind: .invalidArgument, message: message, param: "extra")
    }
    if let prompt { fields["prompt"] = .string(prompt) }
    return try fields.text("request")
}
