package network.cortensor.java;

/**
 * A call of a tool, as in OpenAI's API.
 *
 * @param id the id of the call
 * @param type {@code function}
 * @param function the function and its arguments
 */
public record ToolCall(String id, String type, Function function) {
    /**
     * A function and its arguments.
     *
     * @param name the name of the function
     * @param arguments JSON text
     */
    public record Function(String name, String arguments) {}
}
