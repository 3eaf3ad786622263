package hello

import kotlinx.coroutines.runBlocking
import network.cortensor.router.Router

/** A router with one miner of its own: submit a prompt, print the answer. */
fun main(): Unit = runBlocking {
    Router.open().use { router ->
        router.miner("shout", "capacity" to 4) { job -> job.finish(job.prompt.uppercase()) }
        println(router.complete("hello").text)
    }
}
