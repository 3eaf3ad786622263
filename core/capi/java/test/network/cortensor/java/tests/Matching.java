package network.cortensor.java.tests;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;

/** Whether an outcome is what a scenario expects; see core/tests/conformance/README.md. */
final class Matching {
    private Matching() {}

    /** Where and why it is not; null: it is. */
    static String mismatch(JsonElement expected, JsonElement given, String path) {
        JsonElement actual = given == null ? JsonNull.INSTANCE : given;
        String wrong = path + ": expected " + expected + ", got " + actual;
        if (expected instanceof JsonObject object) {
            return members(object, actual, path, wrong);
        }
        if (expected instanceof JsonArray list) {
            return items(list, actual, path, wrong);
        }
        if (expected instanceof JsonPrimitive word && word.isString() && word.getAsString().startsWith("$")) {
            return isOfKind(word.getAsString(), actual) ? null : wrong;
        }
        if (isNumber(expected) && isNumber(actual)) {
            return expected.getAsBigDecimal().compareTo(actual.getAsBigDecimal()) == 0 ? null : wrong;
        }
        return expected.equals(actual) ? null : wrong;
    }

    private static String members(JsonObject expected, JsonElement actual, String path, String wrong) {
        if (expected.has("$contains")) {
            boolean holds = isText(actual) && actual.getAsString().contains(expected.get("$contains").getAsString());
            return holds ? null : wrong;
        }
        if (!(actual instanceof JsonObject object)) {
            return wrong;
        }
        for (String name : expected.keySet()) {
            String fault = mismatch(expected.get(name), object.get(name), path + "." + name);
            if (fault != null) {
                return fault;
            }
        }
        return null;
    }

    private static String items(JsonArray expected, JsonElement actual, String path, String wrong) {
        if (!(actual instanceof JsonArray list) || list.size() != expected.size()) {
            return wrong;
        }
        for (int index = 0; index < list.size(); index++) {
            String fault = mismatch(expected.get(index), list.get(index), path + "[" + index + "]");
            if (fault != null) {
                return fault;
            }
        }
        return null;
    }

    private static boolean isOfKind(String kind, JsonElement actual) {
        return switch (kind) {
            case "$any" -> !actual.isJsonNull();
            case "$number" -> isNumber(actual);
            case "$text" -> isText(actual) && !actual.getAsString().isEmpty();
            case "$absent" -> actual.isJsonNull();
            default -> throw new AssertionError("no such matcher: " + kind);
        };
    }

    private static boolean isNumber(JsonElement element) {
        return element instanceof JsonPrimitive primitive && primitive.isNumber();
    }

    private static boolean isText(JsonElement element) {
        return element instanceof JsonPrimitive primitive && primitive.isString();
    }
}
