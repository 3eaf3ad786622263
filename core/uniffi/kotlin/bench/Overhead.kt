import java.io.File
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.count
import kotlinx.coroutines.launch
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.runBlocking
import network.cortensor.router.Router

private const val TOKENS = 200_000

/** The microseconds of one of `count` turns of the block. */
private suspend fun each(count: Int, block: suspend () -> Unit): Double {
    val begun = System.nanoTime()
    block()
    return (System.nanoTime() - begun) / 1e3 / count
}

/**
 * Measures the cost of the package beside Rust, in one run. `cargo xtask bench kotlin` runs it with the line that
 * `cargo bench --bench embed` prints, a file for the results, and `quick`.
 */
fun main(arguments: Array<String>) {
    val count = if ("quick" in arguments) 2_000 else 20_000
    val figures = LinkedHashMap<String, Double>()
    runBlocking(Dispatchers.Default) {
        Router.open("runtime" to mapOf("log_level" to "off")).use { router ->
            router.miner("tiny", "models" to listOf("tiny"), "capacity" to 256) { it.finish("x") }
            router.miner("flood", "models" to listOf("flood")) { job -> repeat(TOKENS) { job.emit("tok ") } }
            val calls: suspend (Int) -> Unit = { repeat(it) { router.complete("hello", "model" to "tiny") } }
            calls(count)
            figures["call_c1_us"] = each(count) { calls(count) }
            figures["call_c32_us"] = each(count) { coroutineScope { repeat(32) { launch { calls(count / 32) } } } }
            figures["task_us"] = each(count) {
                List(count) { router.submit("hello", "model" to "tiny") }.forEach { it.text() }
            }
            figures["token_us"] = each(TOKENS) {
                check(router.submit("go", "model" to "flood").tokens().count() == TOKENS)
            }
        }
    }
    val told = figures.entries.joinToString(" ") { (name, value) -> "$name=%.2f".format(value) }
    println("rust ${arguments[0]}\nbench: kotlin $told")
    val written = figures.entries.joinToString(", ") { (name, value) -> "\"$name\": $value" }
    File(arguments[1]).writeText("{\"rust\": ${arguments[0]}, \"kotlin\": {$written}}\n")
}
