package network.cortensor.java;

/** A failure of a miner with its code. A miner that throws one fails its job so. */
public final class JobException extends Exception {
    private static final long serialVersionUID = 1;

    /** The code. */
    private final String code;

    /**
     * A failure.
     *
     * @param code {@code overloaded}, {@code context}, {@code invalid}, {@code model}, {@code refused},
     *     {@code credentials}, {@code unreadable}, {@code internal}, {@code unreachable} or {@code cancelled}: it says
     *     whether another miner is tried and whether this one is blamed
     * @param message reaches the caller
     */
    public JobException(String code, String message) {
        super(message);
        this.code = code;
    }

    /**
     * The code says whether another miner is tried and whether this one is blamed.
     *
     * @return the code
     */
    public String code() {
        return code;
    }
}
