package network.cortensor.java;

import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.LongConsumer;

/** A pointer of the library that is not freed while a call uses it. */
final class Handle {
    /** Frees what the program let go of. */
    private static final Cleaner CLEANER = Cleaner.create();

    /** A call of the library without a result. */
    @FunctionalInterface
    interface Doing {
        int call(long pointer, long[] err);
    }

    /** A call of the library that gives a pointer. */
    @FunctionalInterface
    interface Giving {
        int call(long pointer, long[] out, long[] err);
    }

    private final String name;
    private final State state;

    /** The part that outlives the handle for as long as it must. */
    private static final class State implements Runnable {
        private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
        private final LongConsumer release;
        private long pointer;

        State(long pointer, LongConsumer release) {
            this.pointer = pointer;
            this.release = release;
        }

        /** Waits for the present calls and frees the pointer. A second time it does nothing. */
        @Override
        public void run() {
            long held;
            lock.writeLock().lock();
            try {
                held = pointer;
                pointer = 0;
            } finally {
                lock.writeLock().unlock();
            }
            if (held != 0) {
                release.accept(held);
            }
        }
    }

    Handle(String name, long pointer, LongConsumer release) {
        this.name = name;
        this.state = new State(pointer, release);
    }

    /** Lets the garbage collector free the handle after its owner. */
    Handle collected(Object owner) {
        CLEANER.register(owner, state);
        return this;
    }

    void free() {
        state.run();
    }

    boolean isFree() {
        return state.pointer == 0;
    }

    void doing(Doing call) {
        state.lock.readLock().lock();
        try {
            long[] err = new long[1];
            check(call.call(pointer(), err), err);
        } finally {
            state.lock.readLock().unlock();
        }
    }

    long giving(Giving call) {
        long[] out = new long[1];
        doing((pointer, err) -> call.call(pointer, out, err));
        return out[0];
    }

    /** A call whose result is bytes of the library's. */
    byte[] bytes(Giving call) {
        return taken(giving(call));
    }

    /** A call whose result is a text of the library's. */
    String text(Giving call) {
        return new String(bytes(call), StandardCharsets.UTF_8);
    }

    <T> T record(Class<T> type, Giving call) {
        return Json.read(bytes(call), type);
    }

    private long pointer() {
        if (state.pointer == 0) {
            throw local("closed", "released", "the " + name + " was released");
        }
        return state.pointer;
    }

    static void check(int status, long[] err) {
        if (status != Library.OK) {
            throw failed(err[0]);
        }
    }

    /** Takes over an error of the library. */
    static RouterException failed(long error) {
        try {
            return copied(error);
        } finally {
            Library.cortensor_error_free(error);
        }
    }

    /** The exception of an error that belongs to the library. */
    static RouterException copied(long error) {
        byte[] text = new Pointer(Library.cortensor_error_details(error)).getString(0, "UTF-8")
                .getBytes(StandardCharsets.UTF_8);
        return RouterException.of(Json.read(text, Records.ErrorDetails.class));
    }

    /** An exception of this library itself. */
    static RouterException local(String kind, String code, String message) {
        return RouterException.of(new Records.ErrorDetails(code, kind, message, null, null, false, null, null));
    }

    static RouterException invalid(String param, String message) {
        return RouterException.of(
                new Records.ErrorDetails("invalid_argument", "invalid_argument", message, param, null, false, null, null));
    }

    /** Copies what the library gave, and frees it. */
    static byte[] taken(long bytes) {
        try {
            int length = (int) Library.cortensor_bytes_len(bytes);
            return new Pointer(Library.cortensor_bytes_data(bytes)).getByteArray(0, length);
        } finally {
            Library.cortensor_bytes_free(bytes);
        }
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
