package network.cortensor.java;

import java.util.List;
import java.util.Map;

/** The work of a task: a prompt, a chat, or texts to embed; and options with the names of the REST API. */
public final class Request extends Options.RequestFields {
    private long session;
    private boolean detached;

    /** A request without input: give {@code prompt}, {@code messages} or {@code input}. */
    public Request() {}

    /**
     * A request with a prompt.
     *
     * @param prompt the text to read
     */
    public Request(String prompt) {
        prompt(prompt);
    }

    /**
     * A chat.
     *
     * @param messages the conversation so far, each with {@code role} and {@code content}
     * @return the request
     */
    public static Request chat(List<? extends Map<String, ?>> messages) {
        Request request = new Request();
        request.set("messages", messages);
        return request;
    }

    /**
     * The text to read.
     *
     * @param prompt the text
     * @return this request
     */
    public Request prompt(String prompt) {
        return set("prompt", prompt);
    }

    /**
     * The session of the task, 0 by default. {@link Session#submit} has its own.
     *
     * @param id the session
     * @return this request
     */
    public Request session(long id) {
        session = id;
        return this;
    }

    @Override
    public Request detach(boolean value) {
        detached = value;
        return super.detach(value);
    }

    long session() {
        return session;
    }

    boolean isDetached() {
        return detached;
    }
}
