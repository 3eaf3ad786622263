import CortensorRouterNative
import Foundation

/// A listener that serves until it is stopped or its router is shut down.
public final class Listener: @unchecked Sendable {
    private let native: NativeListener

    init(_ native: NativeListener) { self.native = native }

    /// The address on which it listens.
    public var host: String { native.host() }

    /// Its port.
    public var port: UInt16 { native.port() }

    /// `http://127.0.0.1:5010`
    public var url: String { host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)" }

    /// Every open surface and how it is protected, a line each.
    public var posture: [String] { native.posture() }

    /// Takes no new connections and waits for running requests, at most for `listen.drain_timeout_ms`.
    public func stop() async throws {
        _ = try await Bridge.shared.call { token in
            try self.native.stop(token: token)
            return false
        }
    }

    /// Waits until the listener has ended, for any reason.
    public func ended() async throws {
        _ = try await Bridge.shared.call(cancels: true) { token in
            try self.native.ended(token: token)
            return false
        }
    }
}

/// Answers requests like the listener, with equal routes, tokens and limits.
public final class HTTPHandler: @unchecked Sendable {
    private let native: NativeHandler

    init(_ native: NativeHandler) { self.native = native }

    /// The size in bytes of the largest body that must be read.
    public var maxBodyBytes: UInt64 { native.maxBodyBytes() }

    /// Answers a request. `target` is the path with its query, `peer` the IP address of the client, if it is known: the
    /// router accepts the development token from loopback only. Cancelling the waiting task tells the router that the
    /// client has gone.
    public func handle(
        method: String,
        target: String,
        headers: [(name: String, value: String)] = [],
        body: Data = Data(),
        peer: String? = nil
    ) async throws -> HTTPAnswer {
        let lines = headers.map { HttpHeader(name: $0.name, value: Data($0.value.utf8)) }
        let message = try await Bridge.shared.call(cancels: true) { token in
            try self.native.handle(
                token: token, method: method, target: target, headers: lines, peer: peer, body: body)
        }
        guard case .response(_, let status, let head, let response) = message else { throw Bridge.unexpected }
        return HTTPAnswer(status, head, response)
    }
}

/// An answer: its head, and its body piece by piece.
public final class HTTPAnswer: @unchecked Sendable {
    private let native: NativeResponse

    /// The HTTP status.
    public let status: UInt16
    /// The header lines.
    public let headers: [(name: String, value: String)]

    init(_ status: UInt16, _ headers: [HttpHeader], _ native: NativeResponse) {
        self.native = native
        self.status = status
        self.headers = headers.map { ($0.name, String(decoding: $0.value, as: UTF8.self)) }
    }

    /// The body. Letting go of the answer tells the router that the client has gone.
    public var body: AsyncThrowingStream<Data, Error> {
        AsyncThrowingStream { [self] in
            let message = try await Bridge.shared.call(cancels: true) { try native.nextPiece(token: $0) }
            guard case .piece(_, let bytes) = message else { throw Bridge.unexpected }
            return bytes
        }
    }

    deinit { native.release() }
}
