import CortensorRouterNative

/// A miner of this program that works for a distant router. It reconnects if the connection breaks, and loses no
/// finished answer.
public final class MinerClient: @unchecked Sendable {
    private let native: NativeMinerClient
    private let workers: Workers
    private let number: UInt64

    /// Starts the miner; `work` is as in `Router.miner`. The settings are those of a miner that dials in: `models`,
    /// `capacity`, `token` ...
    public init(
        router: String,
        name: String,
        _ settings: Options = [:],
        manual: Bool = false,
        _ work: @escaping @Sendable (Job) async throws -> Void
    ) throws {
        let more: Options = ["routers": .array([.string(router)]), "name": .string(name)]
        let config = try settings.text("config", with: more)
        let workers = Workers(manual: manual, work)
        let number = Bridge.shared.handle { message in
            if case .job(_, let job) = message { workers.offer(job) }
        }
        do {
            self.native = try CortensorRouter.native {
                try NativeMinerClient.start(mailbox: Bridge.shared.mailbox, token: number, config: config, log: 0)
            }
        } catch {
            Bridge.shared.forget(number)
            throw error
        }
        self.workers = workers
        self.number = number
    }

    /// The miner's counts and the state of its connection.
    public func stats() throws -> MinerClientStats {
        try MinerClientStats(parsing: CortensorRouter.native { try native.stats() })
    }

    /// Sets how many tasks the miner takes at a time from now on.
    public func setCapacity(_ tasks: UInt32) throws {
        try CortensorRouter.native { try native.setCapacity(tasks: tasks) }
    }

    /// Takes no new tasks and finishes the present ones; true: the router has all answers.
    public func drain(timeoutMs: UInt64) async throws -> Bool {
        let message = try await Bridge.shared.call { token in
            try self.native.drain(token: token, timeoutMs: timeoutMs)
            return false
        }
        guard case .flag(_, let drained) = message else { throw Bridge.unexpected }
        return drained
    }

    /// Ends the miner's connection and cancels its work.
    public func shutdown(timeoutMs: UInt64? = 10_000) async throws {
        _ = try await Bridge.shared.call { token in
            try self.native.shutdown(token: token, timeoutMs: timeoutMs)
            return false
        }
        Bridge.shared.forget(number)
        await workers.end()
    }
}
