package network.cortensor.java;

import java.time.Duration;
import java.util.List;

/** A running HTTP listener. It serves until it is stopped or its router is closed. Closing it stops it. */
public final class Listener implements AutoCloseable {
    private final Handle handle;
    private final String address;
    private final List<String> posture;

    Listener(long pointer) {
        handle = new Handle("listener", pointer, Library::cortensor_listener_free).collected(this);
        address = handle.text(Library::cortensor_listener_address);
        posture = handle.text(Library::cortensor_listener_posture).lines().toList();
    }

    /**
     * The address, for example {@code 127.0.0.1:5010}.
     *
     * @return the address
     */
    public String address() {
        return address;
    }

    /**
     * The address as a URL, for example {@code http://127.0.0.1:5010}.
     *
     * @return the URL
     */
    public String url() {
        return "http://" + address;
    }

    /**
     * The open surfaces and how each one is protected, a line each.
     *
     * @return the lines
     */
    public List<String> posture() {
        return posture;
    }

    /**
     * Takes no new connections and waits until running requests have ended.
     *
     * @param within the time limit
     * @return whether all have ended in time
     */
    public boolean stop(Duration within) {
        return Router.inTime(() -> handle.doing((listener, err) ->
                Library.cortensor_listener_stop(listener, within.toMillis(), err)));
    }

    /** Waits until the listener has ended, for any reason. */
    public void await() {
        handle.doing((listener, err) -> Library.cortensor_listener_wait(listener, Library.FOREVER, err));
    }

    /** Stops the listener. Running requests end within {@code listen.drain_timeout_ms}. */
    @Override
    public void close() {
        if (!handle.isFree()) {
            try {
                handle.doing((listener, err) -> Library.cortensor_listener_stop(listener, Library.FOREVER, err));
            } catch (RouterException.ClosedException gone) {
                // Its router ended it.
            }
            handle.free();
        }
    }
}
