package network.cortensor.java;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The texts of a task's tokens, for one thread. Closing it before the end cancels the task, unless it is detached
 * or another caller's:
 *
 * <pre>{@code
 * try (Tokens tokens = task.tokens()) {
 *     for (String token : tokens) System.out.print(token);
 * }
 * }</pre>
 *
 * <p>A task that fails throws its {@link RouterException}. If another miner begins the answer again, the code is {@code
 * stream_restarted}: the text so far is void. {@link Task#events} tells of it by an event and goes on.
 */
public final class Tokens implements Iterable<String>, AutoCloseable {
    private final Task task;
    private final EventStream events;
    private boolean over;
    private String next;

    Tokens(Task task) {
        this.task = task;
        this.events = task.events(0);
    }

    /**
     * The tokens that follow; every iterator goes on where the last one stopped.
     *
     * @return the texts
     */
    @Override
    public Iterator<String> iterator() {
        return new Iterator<>() {
            @Override
            public boolean hasNext() {
                if (next == null && !over) {
                    Event event = events.next();
                    // After a restart there is nothing to read here any more, but the task goes on.
                    over = !(event instanceof Event.Token);
                    next = token(event);
                }
                return next != null;
            }

            @Override
            public String next() {
                if (!hasNext()) {
                    throw new NoSuchElementException("the task has ended");
                }
                String token = next;
                next = null;
                return token;
            }
        };
    }

    /**
     * The tokens that follow. Closing the stream closes these tokens.
     *
     * @return the texts
     */
    public Stream<String> stream() {
        Spliterator<String> texts =
                Spliterators.spliteratorUnknownSize(iterator(), Spliterator.ORDERED | Spliterator.NONNULL);
        return StreamSupport.stream(texts, false).onClose(this::close);
    }

    /** The text of an event; null at the end. */
    static String token(Event event) {
        if (event instanceof Event.Token token) {
            return token.text();
        }
        if (event instanceof Event.Restart) {
            throw Handle.local("miner_failed", "stream_restarted",
                    "another miner started over: what was read is void; read the result, or the events of the task");
        }
        RouterException error = ((Event.End) event).error();
        if (error != null) {
            throw error;
        }
        return null;
    }

    @Override
    public void close() {
        if (!over && events.hasNext()) {
            task.leave();
        }
        over = true;
        events.close();
    }
}
