package network.cortensor.router

import java.math.BigDecimal

/** JSON text and plain Kotlin values: maps, lists, texts, numbers, flags and null. */
internal object Json {
    /** The deepest nesting that is read. The router's own records stay far below it. */
    private const val DEPTH = 256

    fun write(value: Any?): String = StringBuilder().also { write(value, it, 0) }.toString()

    private fun write(value: Any?, out: StringBuilder, depth: Int) {
        if (depth > DEPTH) throw InvalidArgumentException("the value is nested too deeply, or holds itself")
        when (value) {
            null -> out.append("null")
            is Boolean -> out.append(value)
            is String -> text(value, out)
            is Double -> number(value.isFinite(), value, out)
            is Float -> number(value.isFinite(), value, out)
            is Number -> out.append(value)
            is UInt, is ULong -> out.append(value)
            is Record -> write(value.fields, out, depth)
            is Enum<*> -> text(value.name.lowercase(), out)
            is Map<*, *> -> {
                out.append('{')
                value.entries.forEachIndexed { index, (name, one) ->
                    if (index > 0) out.append(',')
                    text(name.toString(), out)
                    out.append(':')
                    write(one, out, depth + 1)
                }
                out.append('}')
            }
            is Iterable<*> -> {
                out.append('[')
                value.forEachIndexed { index, one ->
                    if (index > 0) out.append(',')
                    write(one, out, depth + 1)
                }
                out.append(']')
            }
            is Array<*> -> write(value.asList(), out, depth)
            is DoubleArray -> write(value.asList(), out, depth)
            is FloatArray -> write(value.asList(), out, depth)
            else -> {
                val kind = value::class.simpleName
                throw InvalidArgumentException("$kind is no JSON: use maps, lists, texts, numbers, flags")
            }
        }
    }

    private fun number(finite: Boolean, value: Any, out: StringBuilder) {
        if (!finite) throw InvalidArgumentException("$value is no JSON")
        out.append(value)
    }

    private fun text(value: String, out: StringBuilder) {
        out.append('"')
        for ((index, char) in value.withIndex()) {
            when {
                char == '"' || char == '\\' -> out.append('\\').append(char)
                char == '\n' -> out.append("\\n")
                char < ' ' -> out.append("\\u%04x".format(char.code))
                char.isSurrogate() && !isPaired(value, index) ->
                    throw InvalidArgumentException("a text has half a surrogate pair: it cannot be sent as UTF-8")
                else -> out.append(char)
            }
        }
        out.append('"')
    }

    private fun isPaired(value: String, index: Int): Boolean =
        if (value[index].isHighSurrogate()) {
            index + 1 < value.length && value[index + 1].isLowSurrogate()
        } else {
            index > 0 && value[index - 1].isHighSurrogate()
        }

    fun read(text: String): Any? = Reader(text).run { value(0).also { end() } }

    @Suppress("UNCHECKED_CAST")
    fun readObject(text: String): Map<String, Any?> = read(text) as Map<String, Any?>

    private class Reader(private val text: String) {
        private var at = 0

        fun value(depth: Int): Any? {
            if (depth > DEPTH) throw wrong()
            blanks()
            return when (val char = peek()) {
                '{' -> members(depth)
                '[' -> items(depth)
                '"' -> string()
                't' -> word("true", true)
                'f' -> word("false", false)
                'n' -> word("null", null)
                else -> if (char == '-' || char.isDigit()) numeral() else throw wrong()
            }
        }

        fun end() {
            blanks()
            if (at != text.length) throw wrong()
        }

        private fun wrong() = InternalException("the router's JSON is not readable at $at")

        private fun peek(): Char = if (at < text.length) text[at] else throw wrong()

        private fun blanks() {
            while (at < text.length && text[at] in " \t\r\n") at++
        }

        private fun expect(char: Char) {
            blanks()
            if (peek() != char) throw wrong()
            at++
        }

        private fun word(word: String, value: Any?): Any? {
            if (!text.startsWith(word, at)) throw wrong()
            at += word.length
            return value
        }

        private fun members(depth: Int): Map<String, Any?> {
            val found = LinkedHashMap<String, Any?>()
            at++
            blanks()
            if (peek() == '}') return found.also { at++ }
            while (true) {
                blanks()
                val name = string()
                expect(':')
                found[name] = value(depth + 1)
                blanks()
                if (peek() == '}') return found.also { at++ }
                expect(',')
            }
        }

        private fun items(depth: Int): List<Any?> {
            val found = ArrayList<Any?>()
            at++
            blanks()
            if (peek() == ']') return found.also { at++ }
            while (true) {
                found.add(value(depth + 1))
                blanks()
                if (peek() == ']') return found.also { at++ }
                expect(',')
            }
        }

        private fun string(): String {
            if (peek() != '"') throw wrong()
            val from = ++at
            while (peek() != '"' && peek() != '\\') at++
            if (peek() == '"') return text.substring(from, at++)
            val out = StringBuilder(text.substring(from, at))
            while (true) {
                val char = peek()
                at++
                if (char == '"') return out.toString()
                if (char != '\\') {
                    out.append(char)
                    continue
                }
                val escaped = peek()
                at++
                when (escaped) {
                    'n' -> out.append('\n')
                    't' -> out.append('\t')
                    'r' -> out.append('\r')
                    'b' -> out.append('\b')
                    'f' -> out.append('\u000c')
                    'u' -> {
                        if (at + 4 > text.length) throw wrong()
                        out.append((text.substring(at, at + 4).toIntOrNull(16) ?: throw wrong()).toChar())
                        at += 4
                    }
                    else -> out.append(escaped)
                }
            }
        }

        private fun numeral(): Number {
            val from = at
            while (at < text.length && (text[at].isDigit() || text[at] in "+-.eE")) at++
            val digits = text.substring(from, at)
            if (digits.none { it in ".eE" }) digits.toLongOrNull()?.let { return it } ?: return BigDecimal(digits)
            return digits.toDouble()
        }
    }
}
