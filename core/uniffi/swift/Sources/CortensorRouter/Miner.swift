import CortensorRouterNative
import Foundation

/// The tasks of Swift in which the function of one miner runs, one for each job.
final class Workers: @unchecked Sendable {
    private let manual: Bool
    private let work: @Sendable (Job) async throws -> Void
    private let lock = NSLock()
    private var last: UInt64 = 0
    private var running: [UInt64: (job: Job, task: Task<Void, Never>)] = [:]
    private var over = false

    /// The job whose function runs here: it must not wait for itself.
    @TaskLocal private static var here: Job?

    init(manual: Bool, _ work: @escaping @Sendable (Job) async throws -> Void) {
        self.manual = manual
        self.work = work
    }

    func offer(_ native: NativeJob) {
        let job = Job(native)
        lock.lock()
        defer { lock.unlock() }
        if over { return native.release() }
        last += 1
        let number = last
        let task = Task { [self] in
            await Workers.$here.withValue(job) { await run(job) }
            ended(number)
        }
        running[number] = (job, task)
        if manual { return }
        // The end of the wanted work ends the task of Swift that does it.
        let told = Handle()
        told.number = Bridge.shared.handle { _ in
            Bridge.shared.forget(told.number)
            if job.isCancelled && !job.isAnswered { task.cancel() }
        }
        try? native.onCancelled(token: told.number)
    }

    /// Cancels what runs, and waits for its end.
    func end() async {
        for task in cancel() { await task.value }
    }

    /// Takes no more jobs and cancels what runs, but not the function that asks for it. Gives what it cancelled.
    @discardableResult
    func cancel() -> [Task<Void, Never>] {
        let own = Workers.here
        let others: [Task<Void, Never>] = locked {
            over = true
            return running.values.filter { $0.job !== own }.map { $0.task }
        }
        others.forEach { $0.cancel() }
        return others
    }

    private func locked<T>(_ work: () -> T) -> T {
        lock.lock()
        defer { lock.unlock() }
        return work()
    }

    private func ended(_ number: UInt64) { locked { running[number] = nil } }

    private func run(_ job: Job) async {
        do {
            try await work(job)
            if !manual && !job.isAnswered { try job.finish() }
        } catch let error as JobError {
            do {
                try job.fail(error.code, error.message)
            } catch {
                // There is no such code, or the job was answered meanwhile.
                try? job.fail("internal", "\(error)")
            }
        } catch is CancellationError {
            try? job.fail("cancelled", "the miner stopped")
        } catch {
            try? job.fail("internal", "\(error)")
        }
        if !manual { job.release() }
    }
}

/// A number that is known only after its function was made.
private final class Handle: @unchecked Sendable {
    var number: UInt64 = 0
}

/// A miner that was added.
public final class Miner: @unchecked Sendable {
    private let native: NativeMiner
    private let workers: Workers
    private let number: UInt64

    /// The miner's name.
    public let name: String

    init(_ name: String, _ native: NativeMiner, _ workers: Workers, _ number: UInt64) {
        self.name = name
        self.native = native
        self.workers = workers
        self.number = number
    }

    /// Stops new tasks for the miner, which finishes those that it has.
    public func drain() throws { try CortensorRouter.native { try native.drain() } }

    /// Sets how many tasks the miner takes at a time from now on.
    public func setCapacity(_ tasks: UInt32) throws {
        try CortensorRouter.native { try native.setCapacity(tasks: tasks) }
    }

    /// Ends the miner. Its tasks go to other miners. Waits until its functions have ended.
    public func remove() async throws {
        try CortensorRouter.native { try native.remove() }
        forget()
        await workers.end()
    }

    func forget() { Bridge.shared.forget(number) }

    func leave() async {
        forget()
        await workers.end()
    }

    func abandon() {
        forget()
        workers.cancel()
    }
}
