import java.util.concurrent.TimeUnit
import kotlin.system.exitProcess
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** A test: its name, and what it does within that many seconds. */
class Test(val name: String, val seconds: Int = SECONDS, val run: suspend CoroutineScope.() -> Unit)

/** The time that a test gets on a slow machine. */
private const val SECONDS = 120

/** Runs all tests, or those whose names contain the first argument. With `program NAME` it is one of the programs. */
fun main(arguments: Array<String>) {
    if (arguments.firstOrNull() == "program") return program(arguments.drop(1))
    val all = conformance() + facade() + callbacks() + scale() + processes()
    val chosen = all.filter { arguments.isEmpty() || arguments[0] in it.name }
    val failed = chosen.filterNot(::passes)
    println("# pass ${chosen.size - failed.size}")
    println("# fail ${failed.size}")
    failed.forEach { println("failed: ${it.name}") }
    exitProcess(if (failed.isEmpty() && chosen.isNotEmpty()) 0 else 1)
}

private fun passes(test: Test): Boolean =
    try {
        val begun = System.nanoTime()
        runBlocking { withTimeout(test.seconds.seconds) { test.run(this) } }
        println("ok ${test.name} (${TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun)} ms)")
        true
    } catch (error: Throwable) {
        println("FAILED ${test.name}")
        error.printStackTrace(System.out)
        false
    }

fun check(holds: Boolean, says: () -> String) {
    if (!holds) throw AssertionError(says())
}

fun <T> same(expected: T, actual: T) = check(expected == actual) { "expected $expected, got $actual" }

/** The error that the block throws. */
inline fun <reified E : Throwable> throws(block: () -> Unit): E {
    try {
        block()
    } catch (error: Throwable) {
        if (error is E) return error
        if (error is CancellationException) throw error
        throw AssertionError("expected ${E::class.simpleName}, got $error", error)
    }
    throw AssertionError("expected ${E::class.simpleName}, and nothing was thrown")
}
