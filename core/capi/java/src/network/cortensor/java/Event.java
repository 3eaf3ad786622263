package network.cortensor.java;

/** An event of a task's stream. */
public sealed interface Event {
    /**
     * A piece of the text.
     *
     * @param seq its number, one more than that of the event before it; the first is 1, and 2^32 more at each later start
     *     of the store
     * @param text the text: whole characters
     */
    record Token(long seq, String text) implements Event {}

    /**
     * A mark: all pieces before it are void, because another miner or a later start of the router begins anew, or because
     * the number to resume from does not belong to this text.
     *
     * @param seq the number of the mark
     */
    record Restart(long seq) implements Event {}

    /**
     * The end, exactly one and last.
     *
     * @param completion the answer as a whole; null if the task failed
     * @param error the failure; null if the task succeeded
     */
    record End(Completion completion, RouterException error) implements Event {}
}
