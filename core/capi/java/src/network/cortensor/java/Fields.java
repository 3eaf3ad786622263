package network.cortensor.java;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Options that were given, by their names in the REST API.
 *
 * @param <T> the options themselves
 */
public abstract class Fields<T extends Fields<T>> {
    private final Map<String, Object> members = new LinkedHashMap<>();

    Fields() {}

    /** Gives a member; null takes it back. */
    @SuppressWarnings("unchecked")
    final T set(String name, Object value) {
        if (value == null) {
            members.remove(name);
        } else {
            members.put(name, value);
        }
        return (T) this;
    }

    /** The members as they are sent: those of {@code extra} stand beside the others. */
    final Map<String, Object> members() {
        if (!(members.get("extra") instanceof Map<?, ?> extra)) {
            return Collections.unmodifiableMap(members);
        }
        Map<String, Object> all = new LinkedHashMap<>(members);
        all.remove("extra");
        extra.forEach((name, value) -> {
            if (all.putIfAbsent(String.valueOf(name), value) != null) {
                throw Handle.invalid("extra", name + " is a field of its own: take it out of extra");
            }
        });
        return all;
    }
}
