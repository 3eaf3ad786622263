package network.cortensor.java.tests;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import network.cortensor.java.Completion;
import network.cortensor.java.Event;
import network.cortensor.java.EventStream;
import network.cortensor.java.Fields;
import network.cortensor.java.Options;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;
import network.cortensor.java.Task;

/** One scenario under way. */
final class Scenario implements AutoCloseable {
    private static final Gson GSON = new GsonBuilder().serializeNulls().create();

    /** A step that does not compile in Java: a member is no method of the options, or takes another type. */
    static final class Uncompilable extends Exception {
        private static final long serialVersionUID = 1;

        final String member;

        Uncompilable(String member) {
            super(member);
            this.member = member;
        }
    }

    private final Router router;
    private final Set<String> uncompilable;
    private final Map<String, JsonElement> kept = new HashMap<>();
    private final Map<String, Task> tasks = new HashMap<>();
    private final Map<String, Behaviour> miners = new HashMap<>();

    /** The task that the present step made; null: none. */
    private Task made;

    Scenario(JsonObject scenario, Set<String> uncompilable) throws Exception {
        this.uncompilable = uncompilable;
        router = Router.open(scenario.get("config").toString());
        for (JsonElement miner : scenario.getAsJsonArray("miners")) {
            addMiner(miner.getAsJsonObject());
        }
    }

    @Override
    public void close() {
        router.close();
        tasks.values().forEach(Task::close);
    }

    /** Calls the method of each member, as a program does. */
    static <T extends Fields<?>> T options(T options, JsonElement given) throws Uncompilable {
        for (Map.Entry<String, JsonElement> member : given.getAsJsonObject().entrySet()) {
            Object value = member.getKey().equals("session") ? null : GSON.fromJson(member.getValue(), Object.class);
            set(options, member.getKey(), value);
        }
        return options;
    }

    private static void set(Fields<?> options, String name, Object given) throws Uncompilable {
        StringBuilder camel = new StringBuilder();
        for (String word : name.split("_")) {
            camel.append(camel.isEmpty() ? word : Character.toUpperCase(word.charAt(0)) + word.substring(1));
        }
        for (Method method : options.getClass().getMethods()) {
            if (!method.getName().contentEquals(camel) || method.getParameterCount() != 1 || method.isBridge()) {
                continue;
            }
            Class<?> type = method.getParameterTypes()[0];
            Object value = given;
            if (given instanceof Double number && type == long.class) {
                value = number.longValue();
            } else if (Fields.class.isAssignableFrom(type)) {
                value = nested(type, given);
            } else if (given instanceof List<?> list && method.getGenericParameterTypes()[0].getTypeName().contains("Options$")) {
                String item = method.getGenericParameterTypes()[0].getTypeName().replaceAll(".*<(.*)>", "$1");
                value = list.stream().map(one -> nestedUnchecked(item, one)).toList();
            }
            try {
                method.invoke(options, value);
                return;
            } catch (IllegalArgumentException wrongType) {
                throw new Uncompilable(name);
            } catch (InvocationTargetException | IllegalAccessException error) {
                throw new AssertionError(error);
            }
        }
        throw new Uncompilable(name);
    }

    private static Object nested(Class<?> type, Object given) throws Uncompilable {
        try {
            Fields<?> fields = (Fields<?>) type.getDeclaredConstructor().newInstance();
            return options(fields, GSON.toJsonTree(given));
        } catch (ReflectiveOperationException error) {
            throw new AssertionError(error);
        }
    }

    private static Object nestedUnchecked(String type, Object given) {
        try {
            return nested(Class.forName(type), given);
        } catch (Uncompilable | ClassNotFoundException error) {
            throw new AssertionError(error);
        }
    }

    private void addMiner(JsonObject miner) throws Uncompilable {
        Behaviour behaviour = new Behaviour(miner);
        JsonElement spec = miner.get("spec");
        router.addMiner(options(new Options.MinerOptions(), spec), behaviour);
        miners.put(spec.getAsJsonObject().get("name").getAsString(), behaviour);
    }

    /** The step with every "$name.path" put in. */
    JsonElement resolved(JsonElement value) {
        if (value instanceof JsonArray list) {
            JsonArray copy = new JsonArray();
            list.forEach(item -> copy.add(resolved(item)));
            return copy;
        }
        if (value instanceof JsonObject object) {
            JsonObject copy = new JsonObject();
            object.entrySet().forEach(member -> copy.add(member.getKey(), resolved(member.getValue())));
            return copy;
        }
        if (!(value instanceof JsonPrimitive word) || !word.isString() || !word.getAsString().startsWith("$")) {
            return value;
        }
        String[] path = word.getAsString().substring(1).split("\\.");
        JsonElement found = kept.get(path[0]);
        if (path.length == 1 || found == null) {
            return value;
        }
        for (int index = 1; index < path.length; index++) {
            found = found.getAsJsonObject().get(path[index]);
        }
        return found;
    }

    /** Plays a step as often as it wants; the text says what is wrong. */
    String perform(JsonObject step) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (true) {
            String wrong = attempt(step);
            if (wrong == null || !step.has("until") || System.nanoTime() > deadline) {
                return wrong;
            }
            Thread.sleep(5);
        }
    }

    private String attempt(JsonObject step) throws Exception {
        JsonObject wanted = step.has("error") ? step.getAsJsonObject("error") : null;
        JsonElement outcome;
        made = null;
        try {
            outcome = GSON.toJsonTree(play(step));
        } catch (Uncompilable error) {
            uncompilable.add(error.member);
            return null;
        } catch (RouterException error) {
            JsonElement details = details(error);
            return wanted == null ? "failed: " + details : Matching.mismatch(wanted, details, "");
        }
        if (wanted != null) {
            return "expected the error " + wanted + ", got " + outcome;
        }
        String wrong = step.has("expect") ? Matching.mismatch(step.get("expect"), outcome, "") : null;
        if (wrong == null && step.has("as")) {
            kept.put(step.get("as").getAsString(), outcome);
            if (made != null) {
                tasks.put(step.get("as").getAsString(), made);
            }
        }
        return wrong;
    }

    private static JsonElement details(RouterException error) {
        if (!error.kind().name().toLowerCase().equals(error.details().kind())) {
            throw new AssertionError(error + " is of another kind than " + error.details().kind());
        }
        return GSON.toJsonTree(error.details());
    }

    private Task task(JsonObject step) {
        return tasks.get(step.get("task").getAsString().substring(1));
    }

    private Object handle(Task task) {
        made = task;
        return Map.of("session_id", task.sessionId(), "task_id", task.id(), "gid", task.gid(), "joined", task.joined());
    }

    private Object play(JsonObject step) throws Exception {
        long session = step.has("session") ? step.get("session").getAsLong() : 0;
        long taskId = step.has("task_id") ? step.get("task_id").getAsLong() : 0;
        String name = step.has("name") ? step.get("name").getAsString() : "";
        switch (step.get("do").getAsString()) {
            case "info":
                return router.info();
            case "status":
                return router.status();
            case "miners":
                return router.miners();
            case "models":
                return router.models();
            case "metrics":
                return Map.of("text", router.metrics());
            case "create_session":
                return router.createSession(options(new Options.SessionOptions(), step.get("spec"))).record();
            case "session":
                return router.session(session).record();
            case "close_session":
                return router.closeSession(session);
            case "update_session":
                return router.updateSession(session, options(new Options.SessionChanges(), step.get("patch")));
            case "sessions":
                return router.sessions(options(new Options.PageQuery(), step.get("query")));
            case "submit":
                return handle(Support.soon(router.submitJson(session, step.get("request").toString())));
            case "submit_prompt":
                Request request = options(new Request(step.get("prompt").getAsString()), step.get("options"));
                return handle(Support.soon(router.submit(request.session(session))));
            case "embed":
                Request texts = new Request().input(GSON.fromJson(step.get("input"), Object.class)).session(session);
                return Support.soon(router.embed(texts));
            case "text":
                return Map.of("text", Support.soon(task(step).result()).text());
            case "attach":
                return handle(router.attach(session, taskId));
            case "task":
                return router.task(session, taskId);
            case "cancel":
                return router.cancel(session, taskId);
            case "tasks":
                return router.tasks(session, options(new Options.TaskQuery(), step.get("query")));
            case "record":
                return task(step).record();
            case "result":
                return Support.soon(task(step).result()).record();
            case "cancel_task":
                task(step).cancel();
                return null;
            case "detach":
                task(step).detach();
                return null;
            case "release":
                task(step).close();
                return null;
            case "stream":
                return read(task(step), step);
            case "add_miner":
                addMiner(step.getAsJsonObject("miner"));
                return null;
            case "remove_miner":
                router.removeMiner(name);
                return null;
            case "miner_saw":
                Behaviour seen = miners.get(name);
                return Map.of("jobs", seen.jobs.get(), "cancelled", seen.cancelled.get());
            case "drain":
                return Map.of("drained", router.drain(Duration.ofMillis(step.get("timeout_ms").getAsLong())));
            case "shutdown":
                if (!router.shutdown(Duration.ofSeconds(Support.LIMIT))) {
                    throw new AssertionError("the router does not end");
                }
                return null;
            default:
                throw new AssertionError("no such step: " + step.get("do"));
        }
    }

    private static JsonObject read(Task task, JsonObject step) {
        long after = step.has("after") ? step.get("after").getAsLong() : 0;
        long take = step.has("take") ? step.get("take").getAsLong() : Long.MAX_VALUE;
        JsonArray tokens = new JsonArray();
        StringBuilder text = new StringBuilder();
        int restarts = 0;
        JsonElement end = JsonNull.INSTANCE;
        try (EventStream events = task.events(after)) {
            while (events.hasNext() && tokens.size() < take) {
                Event event = events.next();
                if (event instanceof Event.Token token) {
                    tokens.add(GSON.toJsonTree(token));
                    text.append(token.text());
                } else if (event instanceof Event.Restart) {
                    text.setLength(0);
                    restarts++;
                } else if (event instanceof Event.End last) {
                    Completion completion = last.completion();
                    JsonObject failure = new JsonObject();
                    if (completion == null) {
                        failure.add("error", details(last.error()));
                    }
                    end = completion == null ? failure : GSON.toJsonTree(completion.record());
                }
            }
        }
        JsonObject outcome = new JsonObject();
        outcome.add("tokens", tokens);
        outcome.addProperty("text", text.toString());
        outcome.addProperty("restarts", restarts);
        outcome.add("end", end);
        return outcome;
    }

    /** The scenarios of a file. */
    static JsonArray read(String text) {
        return JsonParser.parseString(text).getAsJsonArray();
    }
}
