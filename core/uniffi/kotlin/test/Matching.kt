/** Where and why `actual` is not what is expected; null: it is. */
fun mismatch(expected: Any?, actual: Any?, path: String = ""): String? {
    val wrong = "$path: expected $expected, got $actual"
    return when (expected) {
        "\$any" -> wrong.takeIf { actual == null }
        "\$number" -> wrong.takeIf { actual !is Number }
        "\$text" -> wrong.takeIf { (actual as? String).isNullOrEmpty() }
        "\$absent" -> wrong.takeIf { actual != null }
        is Map<*, *> -> {
            val part = expected["\$contains"]
            when {
                part != null -> wrong.takeIf { actual !is String || part as String !in actual }
                actual !is Map<*, *> -> wrong
                else -> expected.firstNotNullOfOrNull { (name, one) -> mismatch(one, actual[name], "$path.$name") }
            }
        }
        is List<*> ->
            if (actual !is List<*> || actual.size != expected.size) {
                wrong
            } else {
                expected.indices.firstNotNullOfOrNull { mismatch(expected[it], actual[it], "$path[$it]") }
            }
        is Number -> wrong.takeIf { actual !is Number || actual.toDouble() != expected.toDouble() }
        else -> wrong.takeIf { expected != actual }
    }
}
