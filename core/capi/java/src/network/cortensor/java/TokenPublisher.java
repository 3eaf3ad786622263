package network.cortensor.java;

import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Publishes the texts of a task's tokens to each subscriber, from the beginning. */
final class TokenPublisher implements Flow.Publisher<String> {
    private final Task task;

    TokenPublisher(Task task) {
        this.task = task;
    }

    @Override
    public void subscribe(Flow.Subscriber<? super String> subscriber) {
        if (subscriber == null) {
            throw new NullPointerException("subscriber");
        }
        Reading reading = new Reading(subscriber);
        subscriber.onSubscribe(reading);
        reading.begin();
    }

    /** One subscriber's place in the text. At most one thread at a time works on it. */
    private final class Reading implements Flow.Subscription {
        private final Flow.Subscriber<? super String> subscriber;
        private final AtomicLong wanted = new AtomicLong();
        /** Calls of {@link #work} that came; the first one works for all. */
        private final AtomicInteger turns = new AtomicInteger(1);
        private EventStream events;
        /** Whether the library will tell of the next event; set by the working thread, and taken back when it told. */
        private volatile boolean waits;
        private volatile boolean cancelled;
        private volatile boolean mistaken;
        private boolean over;
        /** A token that came before it was wanted: the end must be told even if nothing is wanted. */
        private Event ahead;

        Reading(Flow.Subscriber<? super String> subscriber) {
            this.subscriber = subscriber;
        }

        @Override
        public void request(long count) {
            if (count <= 0) {
                mistaken = true;
            } else {
                wanted.accumulateAndGet(count, (have, more) -> have + more < 0 ? Long.MAX_VALUE : have + more);
            }
            turn();
        }

        @Override
        public void cancel() {
            cancelled = true;
            turn();
        }

        /** Lets go of the first turn, which `onSubscribe` held. */
        void begin() {
            Callbacks.ANSWERS.execute(this::work);
        }

        private void turn() {
            if (turns.getAndIncrement() == 0) {
                Callbacks.ANSWERS.execute(this::work);
            }
        }

        private void work() {
            int done = turns.get();
            do {
                try {
                    give();
                } catch (RouterException error) {
                    end(() -> subscriber.onError(error));
                } catch (RuntimeException error) {
                    // A subscriber must not throw; what it does so is to leave.
                    leave(() -> {});
                }
                done = turns.addAndGet(-done);
            } while (done != 0);
        }

        private void give() {
            while (!over) {
                if (cancelled) {
                    leave(() -> {});
                } else if (mistaken) {
                    leave(() -> subscriber.onError(new IllegalArgumentException("request at least one token (§3.9)")));
                } else if (waits || !read()) {
                    return;
                }
            }
        }

        /** Gives one token. {@code false}: none is wanted, or none is there. */
        private boolean read() {
            if (events == null) {
                events = task.events(0);
            }
            Event event = ahead == null ? events.poll(0) : ahead;
            ahead = null;
            if (event instanceof Event.Token && wanted.get() == 0) {
                ahead = event;
                return false;
            }
            if (event == null) {
                waits = true;
                events.whenReady(() -> {
                    waits = false;
                    turn();
                });
                return false;
            }
            String token = Tokens.token(event);
            if (token == null) {
                end(subscriber::onComplete);
            } else {
                wanted.updateAndGet(have -> have == Long.MAX_VALUE ? have : have - 1);
                subscriber.onNext(token);
            }
            return true;
        }

        private void leave(Runnable told) {
            if (!over) {
                task.leave();
                end(told);
            }
        }

        private void end(Runnable told) {
            if (!over) {
                over = true;
                if (events != null) {
                    events.close();
                }
                told.run();
            }
        }
    }
}
