package network.cortensor.java;

import java.util.List;

/**
 * The end of a task: the record of the REST API with its parts at hand.
 *
 * @param record the record
 */
public record Completion(Records.CompletionRecord record) {
    /**
     * The text of the answer.
     *
     * @return the text
     */
    public String text() {
        return record.choices().isEmpty() ? "" : record.choices().get(0).text();
    }

    /**
     * The tools that the answer calls.
     *
     * @return the calls; empty if there is none
     */
    public List<ToolCall> toolCalls() {
        List<ToolCall> calls = record.choices().isEmpty() ? null : record.choices().get(0).message().toolCalls();
        return calls == null ? List.of() : calls;
    }

    /**
     * The model's reasoning before its answer.
     *
     * @return the reasoning; empty if it is not known
     */
    public String reasoning() {
        String told = record.choices().isEmpty() ? null : record.choices().get(0).message().reasoningContent();
        return told == null ? "" : told;
    }

    /**
     * The counts of tokens.
     *
     * @return the counts
     */
    public Records.Usage usage() {
        return record.usage();
    }

    static Completion read(byte[] text) {
        return new Completion(Json.read(text, Records.CompletionRecord.class));
    }
}
