package network.cortensor.java;

import com.google.gson.annotations.SerializedName;
import java.util.List;

/**
 * An answer as a message.
 *
 * @param role {@code assistant}
 * @param content the text
 * @param reasoningContent the model's reasoning before its answer; null if it is not known
 * @param toolCalls the tools that the answer calls; null if there is none
 */
public record Message(
        String role,
        String content,
        @SerializedName("reasoning_content") String reasoningContent,
        @SerializedName("tool_calls") List<ToolCall> toolCalls) {}
