package network.cortensor.java;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.gson.JsonSerializer;
import com.google.gson.ToNumberPolicy;
import java.nio.charset.StandardCharsets;

/** Records and options as JSON. */
final class Json {
    private static final Gson GSON = new GsonBuilder()
            .disableHtmlEscaping()
            // A null that a caller puts into a map means something: it lifts a limit.
            .serializeNulls()
            .setObjectToNumberStrategy(ToNumberPolicy.LONG_OR_DOUBLE)
            .registerTypeHierarchyAdapter(Fields.class, (JsonSerializer<Fields<?>>)
                    (fields, type, context) -> context.serialize(fields.members()))
            .create();

    private Json() {}

    static <T> T read(byte[] text, Class<T> type) {
        try {
            return GSON.fromJson(new String(text, StandardCharsets.UTF_8), type);
        } catch (JsonParseException error) {
            throw Handle.local(
                    "internal", "unreadable_record", "the library gave a record that cannot be read: " + error.getMessage());
        }
    }

    /** Whether a request of a client asks for a task that goes on without it. The router says how a request is wrong. */
    static boolean isDetached(String request) {
        try {
            return JsonParser.parseString(request) instanceof JsonObject members
                    && members.get("detach") instanceof JsonPrimitive detach
                    && detach.isBoolean()
                    && detach.getAsBoolean();
        } catch (JsonParseException error) {
            return false;
        }
    }

    /** A value as JSON; null is an empty text, and a text is JSON already. */
    static byte[] text(String param, Object value) {
        if (value == null) {
            return new byte[0];
        }
        try {
            return Handle.utf8(value instanceof String text ? text : GSON.toJson(value));
        } catch (IllegalArgumentException | JsonParseException | UnsupportedOperationException error) {
            throw Handle.invalid(param, param + " cannot be written as JSON: " + error.getMessage());
        }
    }
}
