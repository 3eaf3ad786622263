package ownminer

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import network.cortensor.router.Job
import network.cortensor.router.Router

/** Stands for a model: counts from one, as far as it is asked to. */
suspend fun count(job: Job) {
    val most = job.request["max_tokens"] as? Long ?: 10
    for (number in 1..most) {
        job.emit("$number ")
        delay(10)
    }
}

/** A miner that notices when its work is no longer wanted. */
fun main(): Unit = runBlocking {
    Router.open().use { router ->
        val noticed = CompletableDeferred<Unit>()
        router.miner("counter", "models" to listOf("count"), "capacity" to 2) { job ->
            try {
                count(job)
            } catch (error: CancellationException) {
                noticed.complete(Unit)
                throw error
            }
        }
        println(router.complete("go", "model" to "count", "max_tokens" to 5).text)

        val task = router.submit("go", "model" to "count", "max_tokens" to 1000)
        task.tokens().take(3).onEach { print(it) }.collect() // cancels, and the miner sees it
        noticed.await()
        println("\n(nobody waits any more)")
    }
}
