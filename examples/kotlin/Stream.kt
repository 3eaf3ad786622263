package stream

import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import network.cortensor.router.Router

/** Tokens as they come. */
fun main(): Unit = runBlocking {
    Router.open().use { router ->
        router.miner("words", "models" to listOf("tiny"), "capacity" to 4) { job ->
            for (word in job.prompt.split(" ")) {
                job.emit("$word ")
                delay(50) // stands for a model that thinks
            }
        }
        val session = router.createSession("chat", "model" to "tiny")
        val task = session.submit("every word comes on its own")
        task.tokens().collect { print(it) } // leaving the flow cancels
        println()
        println(task.result().usage)
    }
}
