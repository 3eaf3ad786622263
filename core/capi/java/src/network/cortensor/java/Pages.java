package network.cortensor.java;

import java.util.List;

/** Lists of records, with the number of all. */
public final class Pages {
    private Pages() {}

    /**
     * Miners.
     *
     * @param count the number of miners
     * @param miners the miners
     */
    public record Miners(long count, List<Records.MinerInfo> miners) {}

    /**
     * Models.
     *
     * @param count the number of models
     * @param models the models
     */
    public record Models(long count, List<Records.ModelInfo> models) {}

    /**
     * Sessions.
     *
     * @param count the number of sessions on all pages
     * @param sessions the sessions of this page
     */
    public record Sessions(long count, List<Records.SessionRecord> sessions) {}

    /**
     * API keys.
     *
     * @param count the number of keys
     * @param keys the keys, without their tokens
     */
    public record Keys(long count, List<Records.ApiKey> keys) {}
}
