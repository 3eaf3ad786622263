package network.cortensor.router

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import network.cortensor.router.internal.HttpHeader
import network.cortensor.router.internal.NativeHandler
import network.cortensor.router.internal.NativeListener
import network.cortensor.router.internal.NativeMessage
import network.cortensor.router.internal.NativeResponse

/** A listener that serves until it is stopped or its router is closed. */
public class Listener internal constructor(private val native: NativeListener) {
    /** The address on which it listens. */
    public val host: String = native.host()

    /** Its port. */
    public val port: Int = native.port().toInt()

    /** `http://127.0.0.1:5010` */
    public val url: String = if (':' in host) "http://[$host]:$port" else "http://$host:$port"

    /** Every open surface and how it is protected, a line each. */
    public val posture: List<String> = native.posture()

    /** Takes no new connections and waits for running requests, at most for `listen.drain_timeout_ms`. */
    public suspend fun stop() {
        Bridge.call { native.stop(it) }
    }

    /** Waits until the listener has ended, for any reason. */
    public suspend fun ended() {
        Bridge.call(cancels = true) { native.ended(it) }
    }

    override fun toString(): String = "Listener $url"
}

/** Answers requests like the listener, with equal routes, tokens and limits. */
public class HttpHandler internal constructor(private val native: NativeHandler) {
    /** The size in bytes of the largest body that must be read. */
    public val maxBodyBytes: Long get() = native.maxBodyBytes().toLong()

    /**
     * Answers a request. `target` is the path with its query, `peer` the IP address of the client, if it is known:
     * the router accepts the development token from loopback only. Cancelling the coroutine tells the router that the
     * client has gone.
     */
    public suspend fun handle(
        method: String,
        target: String,
        headers: List<Pair<String, String>> = emptyList(),
        body: ByteArray = ByteArray(0),
        peer: String? = null,
    ): HttpResponse {
        val lines = headers.map { (name, value) -> HttpHeader(name, value.toByteArray(Charsets.ISO_8859_1)) }
        val call: (ULong) -> Boolean = { native.handle(it, method, target, lines, peer, body) }
        return HttpResponse(Bridge.call(cancels = true, start = call) as NativeMessage.Response)
    }
}

/** An answer: its head, and its body piece by piece. */
public class HttpResponse internal constructor(message: NativeMessage.Response) : AutoCloseable {
    private val native: NativeResponse = message.response

    /** The HTTP status. */
    public val status: Int = message.status.toInt()

    /** The header lines. */
    public val headers: List<Pair<String, String>> =
        message.headers.map { line -> line.name to line.`value`.toString(Charsets.ISO_8859_1) }

    /** The body. Leaving the flow early tells the router that the client has gone. */
    public fun body(): Flow<ByteArray> = flow {
        try {
            while (true) {
                val piece = Bridge.call(cancels = true, start = native::nextPiece) as NativeMessage.Piece
                emit(piece.bytes ?: break)
            }
        } finally {
            close()
        }
    }

    /** Tells the router that the client has gone, or has read all. */
    override fun close(): Unit = native.release()
}
