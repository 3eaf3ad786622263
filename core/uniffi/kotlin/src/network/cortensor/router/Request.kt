package network.cortensor.router

import network.cortensor.router.internal.meantRequestOption
import network.cortensor.router.internal.requestOptions

/** The names of the options that may stand beside a prompt. */
private val NAMES: Set<String> by lazy { requestOptions().toSet() }

/** A request as JSON. A mistyped name would have no effect, or reach the miner as an unknown field: it is refused. */
internal fun request(prompt: String?, options: Array<out Pair<String, Any?>>, stream: Boolean): String {
    val fields = LinkedHashMap<String, Any?>()
    fields["stream"] = stream
    for ((name, value) in options) {
        if (name !in NAMES) {
            val meant = meantRequestOption(name)?.let { "did you mean $it? " } ?: ""
            val message = "$name is no option of a request: ${meant}what is only for the miner goes into extra"
            throw InvalidArgumentException(message, param = name)
        }
        if (name != "extra" && value != null) fields[name] = value
    }
    val extra = options.lastOrNull { it.first == "extra" }?.second ?: emptyMap<String, Any?>()
    if (extra !is Map<*, *>) {
        throw InvalidArgumentException("extra must be a map with fields for the miner", param = "extra")
    }
    for ((name, value) in extra) {
        if (name.toString() in NAMES) {
            val message = "extra: $name is an option of a request: give it beside extra"
            throw InvalidArgumentException(message, param = "extra")
        }
        fields[name.toString()] = value
    }
    if (prompt != null) fields["prompt"] = prompt
    return Json.write(fields)
}
