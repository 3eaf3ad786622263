package network.cortensor.router

import java.util.concurrent.LinkedBlockingQueue
import kotlin.concurrent.thread
import network.cortensor.router.internal.NativeMessage

/** Passes the router's log records on to a logger, on a thread of its own. */
internal class Log(val logger: System.Logger) {
    private val records = LinkedBlockingQueue<NativeMessage>()
    private val handle = Bridge.handle { records.put(it) }
    private val writer = thread(isDaemon = true, name = "cortensor-router-log") { run() }

    val number: ULong get() = handle.toULong()

    fun warn(message: String) = logger.log(System.Logger.Level.WARNING, message)

    private fun run() {
        while (true) {
            val record = records.take() as? NativeMessage.Log ?: return
            val level = LEVELS[record.level] ?: System.Logger.Level.DEBUG
            // A log that fails must not end the log.
            runCatching { logger.log(level, "${record.target}: ${record.message}") }
        }
    }

    /** Passes on what has come, and nothing more. */
    fun close() {
        Bridge.forget(handle)
        records.put(NativeMessage.Done(0uL))
        if (Thread.currentThread() !== writer) writer.join(1_000)
    }

    private companion object {
        val LEVELS = mapOf(
            "error" to System.Logger.Level.ERROR,
            "warn" to System.Logger.Level.WARNING,
            "info" to System.Logger.Level.INFO,
        )
    }
}
