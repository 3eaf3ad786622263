package network.cortensor.java;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.NoSuchElementException;

/** The events of a task. Only one thread may read it at a time. Leaving it cancels nothing; close it then. */
public final class EventStream implements Iterator<Event>, AutoCloseable {
    /** The milliseconds after which a waiting thread looks whether it was interrupted. */
    private static final long PATIENCE = 50;

    private static final int WORD = Native.POINTER_SIZE;
    private static final int TOKEN = 1;
    private static final int RESTART = 2;

    private final Handle handle;
    private final Memory event = new Memory(6L * WORD);
    private boolean over;

    EventStream(long pointer) {
        handle = new Handle("stream", pointer, Library::cortensor_stream_free).collected(this);
        event.setLong(0, event.size());
    }

    /**
     * Whether an event follows, which does not wait: an event follows until the end was given.
     *
     * @return whether one follows
     */
    @Override
    public boolean hasNext() {
        return !over;
    }

    /**
     * Waits for the next event. A thread that is interrupted gets a {@link RouterException.TaskCancelledException}, and
     * may read on.
     *
     * @return the event
     */
    @Override
    public Event next() {
        while (true) {
            Event event = poll(PATIENCE);
            if (event != null) {
                return event;
            }
            if (Thread.interrupted()) {
                Thread.currentThread().interrupt();
                throw Handle.local("cancelled", "interrupted", "the thread that reads the stream was interrupted");
            }
        }
    }

    /** The next event, if it comes within these milliseconds; else null. */
    Event poll(long milliseconds) {
        if (over) {
            throw new NoSuchElementException("the end of the stream was given");
        }
        Event[] got = new Event[1];
        handle.doing((stream, err) -> {
            int status = Library.cortensor_stream_next(stream, milliseconds, Pointer.nativeValue(event), err);
            if (status == Library.OK) {
                got[0] = read();
            } else if (status == Library.TIMEOUT) {
                Library.cortensor_error_free(err[0]);
                return Library.OK;
            }
            return status;
        });
        return got[0];
    }

    /** Calls a function once {@code poll(0)} gives an event. */
    void whenReady(Runnable action) {
        handle.doing((stream, err) ->
                Library.cortensor_stream_notify(stream, Callbacks.WAKE_FUNCTION, Callbacks.hold(action), err));
    }

    private Event read() {
        int kind = event.getInt(WORD);
        long seq = event.getLong(2L * WORD);
        if (kind == RESTART) {
            return new Event.Restart(seq);
        }
        long error = event.getLong(5L * WORD);
        if (error != 0) {
            over = true;
            return new Event.End(null, Handle.copied(error));
        }
        int length = (int) event.getLong(4L * WORD);
        byte[] text = length == 0 ? new byte[0] : event.getPointer(3L * WORD).getByteArray(0, length);
        if (kind == TOKEN) {
            return new Event.Token(seq, new String(text, StandardCharsets.UTF_8));
        }
        over = true;
        return new Event.End(Completion.read(text), null);
    }

    /** Releases the stream. It cancels nothing while the task is held. */
    @Override
    public void close() {
        handle.free();
    }
}
