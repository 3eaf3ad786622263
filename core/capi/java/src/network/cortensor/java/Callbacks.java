package network.cortensor.java;

import com.sun.jna.Callback;
import com.sun.jna.CallbackReference;
import com.sun.jna.CallbackThreadInitializer;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * The functions that the library calls. There is one object for each kind, which lives for ever; the library tells them
 * apart by numbers, so that no object of the program is ever collected while the library may call it.
 *
 * <p>None of them blocks, calls the library, or lets an exception out. Threads of the library become daemon threads of
 * the virtual machine once, and stay so.
 */
final class Callbacks {
    private static final AtomicLong NUMBERS = new AtomicLong();
    /** The objects that the library refers to. */
    private static final Map<Long, Object> HELD = new ConcurrentHashMap<>();
    private static final AtomicInteger THREADS = new AtomicInteger();

    /** The threads on which miners work, as many as there are jobs. */
    static final ExecutorService MINERS = Executors.newCachedThreadPool(Callbacks::thread);
    /** The threads that complete futures, and call what waits for them. */
    static final ExecutorService ANSWERS =
            Executors.newFixedThreadPool(Math.max(4, Runtime.getRuntime().availableProcessors()), Callbacks::thread);

    /** A thread that never keeps the program alive. */
    private static Thread thread(Runnable work) {
        Thread thread = new Thread(work, "cortensor-" + THREADS.incrementAndGet());
        thread.setDaemon(true);
        return thread;
    }

    private interface OnJob extends Callback {
        void invoke(long user, long job);
    }

    private interface OnDrop extends Callback {
        void invoke(long user);
    }

    private interface OnRecord extends Callback {
        void invoke(long user, long time, Pointer level, Pointer target, Pointer message);
    }

    private interface OnSubmitted extends Callback {
        void invoke(long user, long task, long error);
    }

    /** Gets the library's answer to a submission. */
    @FunctionalInterface
    interface Submitted {
        void answer(long task, long error);
    }

    private static final OnJob JOB = (user, job) -> safely(() -> ((Workshop) HELD.get(user)).take(job));
    private static final OnDrop DROP = user -> safely(() -> {
        if (HELD.remove(user) instanceof Workshop workshop) {
            workshop.close();
        }
    });
    private static final OnDrop WAKE = user -> safely(() -> ANSWERS.execute((Runnable) HELD.remove(user)));
    private static final OnSubmitted SUBMITTED = (user, task, error) -> safely(() -> {
        Submitted place = (Submitted) HELD.remove(user);
        ANSWERS.execute(() -> place.answer(task, error));
    });

    private static final OnRecord RECORD = (user, time, level, target, message) -> safely(() -> {
        @SuppressWarnings("unchecked")
        Consumer<LogRecord> log = (Consumer<LogRecord>) HELD.get(user);
        log.accept(new LogRecord(Instant.ofEpochMilli(time), text(level), text(target), text(message)));
    });

    private static final long JOB_FUNCTION = function(JOB);
    private static final long DROP_FUNCTION = function(DROP);
    private static final long RECORD_FUNCTION = function(RECORD);
    /** The function that a call takes which tells when another one would return at once. */
    static final long WAKE_FUNCTION = function(WAKE);
    /** The function that a submission takes. */
    static final long SUBMITTED_FUNCTION = function(SUBMITTED);

    private static final long QUICK = 1;
    private static final int WORD = Native.POINTER_SIZE;

    private Callbacks() {}

    /** The number under which the library gets an object. */
    static long hold(Object held) {
        long number = NUMBERS.incrementAndGet();
        HELD.put(number, held);
        return number;
    }

    /** The table of a miner. A quick one may run on the thread that dispatches, since it passes its jobs to the pool. */
    static Memory miner(Workshop workshop) {
        Memory table = new Memory(5L * WORD);
        table.setLong(0, table.size());
        table.setLong(WORD, hold(workshop));
        table.setLong(2L * WORD, JOB_FUNCTION);
        table.setLong(3L * WORD, DROP_FUNCTION);
        table.setLong(4L * WORD, workshop.isQuick() ? QUICK : 0);
        return table;
    }

    /** The table of a log; null: there is none. */
    static Memory log(Consumer<LogRecord> log) {
        if (log == null) {
            return null;
        }
        Memory table = new Memory(4L * WORD);
        table.setLong(0, table.size());
        table.setLong(WORD, hold(log));
        table.setLong(2L * WORD, RECORD_FUNCTION);
        table.setLong(3L * WORD, DROP_FUNCTION);
        return table;
    }

    static long address(Memory table) {
        return table == null ? 0 : Pointer.nativeValue(table);
    }

    private static long function(Callback callback) {
        Native.setCallbackThreadInitializer(callback, new CallbackThreadInitializer(true, false, "cortensor-router"));
        return Pointer.nativeValue(CallbackReference.getFunctionPointer(callback));
    }

    private static String text(Pointer text) {
        return text.getString(0, "UTF-8");
    }

    /** Nothing may run into the library, and there is nobody to tell. */
    private static void safely(Runnable call) {
        try {
            call.run();
        } catch (Throwable ignored) {
            // A log that throws is the program's own matter.
        }
    }
}
