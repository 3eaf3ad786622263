package network.cortensor.java;

import java.time.Instant;

/**
 * A line of the log.
 *
 * @param time the time of the line
 * @param level {@code error}, {@code warn}, {@code info}, {@code debug} or {@code trace}
 * @param target the part of the router that writes
 * @param message the text
 */
public record LogRecord(Instant time, String level, String target, String message) {}
