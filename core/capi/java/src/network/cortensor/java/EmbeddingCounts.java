package network.cortensor.java;

import com.google.gson.annotations.SerializedName;

/**
 * The tokens of the texts of an embedding.
 *
 * @param promptTokens the tokens of the texts
 * @param totalTokens the same number
 */
public record EmbeddingCounts(
        @SerializedName("prompt_tokens") long promptTokens, @SerializedName("total_tokens") long totalTokens) {}
