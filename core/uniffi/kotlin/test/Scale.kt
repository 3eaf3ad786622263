import java.io.File
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import java.util.concurrent.atomic.AtomicInteger
import network.cortensor.router.Router

private const val TASKS = 10_000
private const val TOKENS = 1_000_000
private const val RUN = 500
private val patient = arrayOf<Pair<String, Any?>>(
    "limits" to mapOf("default_timeout_secs" to 280),
    "dispatch" to mapOf("progress_timeout_ms" to 280_000),
)

/** Resident memory in bytes; 0 where the system does not tell. */
private fun resident(): Long =
    File("/proc/self/statm").takeIf { it.canRead() }?.readText()?.split(" ")?.get(1)?.toLong()?.times(4096) ?: 0

/** Many tasks at once, and many tokens. */
fun scale(): List<Test> = listOf(
    Test("ten thousand tasks at once") {
        Router.open(*patient).use { router ->
            val running = AtomicInteger()
            val everyone = CompletableDeferred<Unit>()
            router.miner("meet", "capacity" to TASKS) { job ->
                if (running.incrementAndGet() == TASKS) everyone.complete(Unit)
                everyone.await()
                job.finish(job.prompt)
            }
            val answers = List(TASKS) { async { router.complete("$it").text } }.awaitAll()
            same(List(TASKS) { "$it" }, answers)
        }
    },
    Test("a million tokens in flat memory") {
        Router.open(*patient).use { router ->
            router.miner("flood") { job ->
                val pieces = List(RUN) { "token " }
                repeat(TOKENS / RUN) { job.emitEach(pieces) }
            }
            var count = 0
            var base = 0L
            var grown = 0L
            router.submit("go").tokens().collect {
                if (++count % 50_000 == 0) {
                    System.gc()
                    if (base == 0L) base = resident()
                    grown = maxOf(grown, resident() - base)
                }
            }
            same(TOKENS, count)
            // The text and its numbers are kept, for readers that come later, and the collector keeps some room.
            check(grown < 96L * TOKENS) { "grown by $grown bytes" }
        }
    },
)
