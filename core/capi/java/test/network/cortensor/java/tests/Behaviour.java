package network.cortensor.java.tests;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import network.cortensor.java.Job;
import network.cortensor.java.JobException;
import network.cortensor.java.Miner;
import network.cortensor.java.Options;

/** A miner of the scenarios; core/tests/conformance/README.md describes them. */
final class Behaviour implements Miner {
    final AtomicLong jobs = new AtomicLong();
    final AtomicLong cancelled = new AtomicLong();
    private final String name;
    private final JsonObject with;

    Behaviour(JsonObject miner) {
        name = miner.get("behaviour").getAsString();
        with = miner.has("with") ? miner.getAsJsonObject("with") : new JsonObject();
    }

    @Override
    public void work(Job job) throws Exception {
        long number = jobs.incrementAndGet();
        switch (name) {
            case "words" -> words(job);
            case "pieces", "whole" -> {
                pieces(job);
                finish(job);
            }
            case "hold" -> {
                pieces(job);
                CountDownLatch end = new CountDownLatch(1);
                job.onCancelled(end::countDown);
                end.await();
                cancelled.incrementAndGet();
                job.drop();
            }
            case "fail" -> {
                pieces(job);
                throw new JobException(text("code"), text("message"));
            }
            case "flaky" -> {
                if (number <= with.get("times").getAsLong()) {
                    throw new JobException(text("code"), "not this time");
                }
                words(job);
            }
            case "reject" -> job.reject(text("reason"));
            case "drop" -> job.drop();
            case "parts" -> {
                for (JsonElement parts : with.getAsJsonArray("parts")) {
                    job.emit(Scenario.options(new Options.PieceParts(), parts));
                }
                finish(job);
            }
            case "silent" -> {}
            default -> throw new AssertionError("no such behaviour: " + name);
        }
    }

    private String text(String member) {
        return with.get(member).getAsString();
    }

    private void finish(Job job) throws Exception {
        if (with.has("answer")) {
            job.finish(Scenario.options(new Options.Answer(), with.get("answer")));
        } else {
            job.finish();
        }
    }

    private void pieces(Job job) {
        if (!with.has("pieces")) {
            return;
        }
        for (JsonElement piece : with.getAsJsonArray("pieces")) {
            if (piece instanceof JsonObject object) {
                var numbers = object.getAsJsonArray("bytes");
                byte[] bytes = new byte[numbers.size()];
                for (int index = 0; index < bytes.length; index++) {
                    bytes[index] = (byte) numbers.get(index).getAsInt();
                }
                job.emit(bytes);
            } else {
                job.emit(piece.getAsString().getBytes(StandardCharsets.UTF_8));
            }
        }
    }

    /** Gives the prompt's words, each with the blanks behind it. */
    static void words(Job job) {
        for (String word : job.prompt().split("(?<= )")) {
            if (!word.isEmpty()) {
                job.emit(word);
            }
        }
        job.finish();
    }
}
