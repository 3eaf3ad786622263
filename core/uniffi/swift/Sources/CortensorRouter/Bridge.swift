import CortensorRouterNative
import Foundation

/// The way from the router's threads to Swift's tasks.
///
/// No thread of the router ever runs code of the program. Answers, jobs and log records lie in a mailbox, each with the
/// number under which a task waits for it. One thread takes them. A call that was answered at once empties the mailbox
/// itself, without that thread.
final class Bridge: @unchecked Sendable {
    static let shared = Bridge()

    let mailbox = NativeMailbox()

    /// Guards everything below.
    private let lock = NSLock()
    private var last: UInt64 = 0
    private var waits: [UInt64: CheckedContinuation<NativeMessage, Error>] = [:]
    private var handlers: [UInt64: @Sendable (NativeMessage) -> Void] = [:]
    /// The numbers of calls under way whose tasks were cancelled.
    private var cancelledCalls: Set<UInt64> = []

    /// Held while messages are taken and delivered, so that jobs and log records stay in order.
    private let taking = NSRecursiveLock()

    private init() {
        let thread = Thread { [unowned self] in
            while true {
                self.take()
                _ = try? self.mailbox.ready(timeoutMs: 600_000)
            }
        }
        thread.name = "cortensor-router"
        thread.start()
    }

    /// Makes a call that is answered by a message, and waits for the message; `start` gets the call's number. If the
    /// waiting task is cancelled, a call that only waits is cancelled, too.
    func call(cancels: Bool = false, _ start: (UInt64) throws -> Bool) async throws -> NativeMessage {
        let number = next()
        defer { settle(number) }
        let message = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiting: CheckedContinuation<NativeMessage, Error>) in
                guard expect(number, waiting) else { return waiting.resume(throwing: CancellationError()) }
                do {
                    try here { try start(number) }
                    // If it was cancelled just now, there was nothing to cancel yet.
                    if cancels && isCancelled(number) { try here { try mailbox.cancel(token: number) } }
                } catch {
                    withdraw(number)?.resume(throwing: error)
                }
            }
        } onCancel: {
            self.cancelled(number, cancels)
        }
        if case .failed(_, let error) = message { throw RouterError(error) }
        return message
    }

    /// A call that is answered by a text.
    func text(cancels: Bool = false, _ start: (UInt64) throws -> Bool) async throws -> String {
        guard case .text(_, let text) = try await call(cancels: cancels, start) else { throw Bridge.unexpected }
        return text
    }

    static let unexpected = RouterError(
        kind: .internal, message: "the native library gave another answer than was asked for")

    /// Gives what `take` gives. While that is an empty list, waits for the message that its number is for.
    func ready<T>(_ take: (UInt64) throws -> [T]?) async throws -> [T]? {
        while true {
            try Task.checkCancellation()
            var given: [T]?
            _ = try await call { number in
                given = try take(number)
                if given?.isEmpty != true { withdraw(number)?.resume(returning: .done(token: number)) }
                return false
            }
            if given?.isEmpty != true { return given }
        }
    }

    /// Makes a native call that may have put messages into the mailbox for this thread.
    func here(_ call: () throws -> Bool) throws {
        if try native(call) { take() }
    }

    /// A number for messages that come again and again.
    func handle(_ handler: @escaping @Sendable (NativeMessage) -> Void) -> UInt64 {
        let number = next()
        locked { handlers[number] = handler }
        return number
    }

    func forget(_ number: UInt64) {
        locked { handlers[number] = nil }
    }

    private func locked<T>(_ work: () -> T) -> T {
        lock.lock()
        defer { lock.unlock() }
        return work()
    }

    private func next() -> UInt64 {
        locked {
            last += 1
            return last
        }
    }

    /// false: the call was cancelled already.
    private func expect(_ number: UInt64, _ waiting: CheckedContinuation<NativeMessage, Error>) -> Bool {
        locked {
            if cancelledCalls.contains(number) { return false }
            waits[number] = waiting
            return true
        }
    }

    private func withdraw(_ number: UInt64) -> CheckedContinuation<NativeMessage, Error>? {
        locked { waits.removeValue(forKey: number) }
    }

    private func isCancelled(_ number: UInt64) -> Bool {
        locked { cancelledCalls.contains(number) }
    }

    private func cancelled(_ number: UInt64, _ cancels: Bool) {
        let waiting = locked {
            cancelledCalls.insert(number)
            return waits.removeValue(forKey: number)
        }
        guard let waiting else { return }
        if cancels { try? here { try mailbox.cancel(token: number) } }
        waiting.resume(throwing: CancellationError())
    }

    private func settle(_ number: UInt64) {
        locked { _ = cancelledCalls.remove(number) }
    }

    private func take() {
        taking.lock()
        defer { taking.unlock() }
        for message in (try? mailbox.take()) ?? [] { deliver(message) }
    }

    private func deliver(_ message: NativeMessage) {
        let number = message.number
        let (waiting, handler) = locked { (waits.removeValue(forKey: number), handlers[number]) }
        if let waiting {
            waiting.resume(returning: message)
        } else if let handler {
            handler(message)
        } else {
            // It came for a task that waits no more.
            switch message {
            case .task(_, let task, _, _, _, _): task.release()
            case .job(_, let job): job.release()
            case .response(_, _, _, let response): response.release()
            default: break
            }
        }
    }
}

extension NativeMessage {
    fileprivate var number: UInt64 {
        switch self {
        case .done(let token), .failed(let token, _), .flag(let token, _), .text(let token, _), .router(let token, _),
            .listener(let token, _), .handler(let token, _), .piece(let token, _), .job(let token, _):
            return token
        case .task(let token, _, _, _, _, _), .response(let token, _, _, _), .log(let token, _, _, _, _):
            return token
        }
    }
}
