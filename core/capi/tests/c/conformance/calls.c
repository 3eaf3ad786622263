/* Plays the steps of a scenario as calls of the library. */
#include "conformance.h"
#include <stdlib.h>

static cortensor_task *task_of(struct stage *stage, json_t *step)
{
    return (*stage_task(stage, step))->task;
}

/* The end of a stream; there is exactly one. */
static json_t *end_of(cortensor_stream *stream, const cortensor_event *event)
{
    cortensor_event next = {.struct_size = sizeof next};
    cortensor_error *error = NULL;
    json_t *end = event->error == NULL
                      ? json_loadb(event->data, event->len, JSON_ALLOW_NUL, NULL)
                      : json_pack("{s:o}", "error", json_loads(cortensor_error_details(event->error), 0, NULL));
    if (end == NULL) {
        broken("the end of a stream is no JSON");
    }
    if (cortensor_stream_next(stream, LIMIT_MS, &next, &error) != CORTENSOR_STATUS_CLOSED ||
        strcmp(cortensor_error_code(error), "stream_over") != 0) {
        broken("something came after the end of a stream");
    }
    cortensor_error_free(error);
    return end;
}

/* Checks that each vector can be read, and that there is none after the last. */
static void worked_out(const cortensor_embeddings *embeddings)
{
    const double *numbers = NULL;
    size_t len = 0, count = cortensor_embeddings_count(embeddings);
    for (size_t i = 0; i < count; i++) {
        if (cortensor_embeddings_vector(embeddings, i, &numbers, &len, NULL) != CORTENSOR_STATUS_OK || len == 0) {
            broken("vector %d of %d cannot be had", (int)i, (int)count);
        }
    }
    if (cortensor_embeddings_vector(embeddings, count, &numbers, &len, NULL) != CORTENSOR_STATUS_INVALID_ARGUMENT) {
        broken("there is a vector beyond the last");
    }
}

static struct outcome read_stream(struct stage *stage, json_t *step)
{
    uint64_t after = json_object_get(step, "after") == NULL ? 0 : number(step, "after");
    size_t take = json_object_get(step, "take") == NULL ? SIZE_MAX : (size_t)number(step, "take");
    cortensor_stream *stream = NULL;
    cortensor_error *error = NULL;
    cortensor_event event = {.struct_size = sizeof event};
    json_t *tokens = json_array(), *end = json_null();
    char *text = text_of("%s", "");
    json_int_t restarts = 0;
    cortensor_status status = cortensor_task_stream(task_of(stage, step), after, &stream, &error);
    while (status == CORTENSOR_STATUS_OK && json_is_null(end) && json_array_size(tokens) < take) {
        status = cortensor_stream_next(stream, LIMIT_MS, &event, &error);
        if (status != CORTENSOR_STATUS_OK) {
            break;
        }
        if (event.kind == CORTENSOR_EVENT_KIND_TOKEN) {
            char *longer = text_of("%s%.*s", text, (int)event.len, event.data);
            json_array_append_new(
                tokens, json_pack("{s:I, s:s%}", "seq", (json_int_t)event.seq, "text", event.data, event.len));
            free(text);
            text = longer;
        } else if (event.kind == CORTENSOR_EVENT_KIND_RESTART) {
            text[0] = 0;
            restarts++;
        } else {
            end = end_of(stream, &event);
        }
    }
    cortensor_stream_free(stream);
    if (status != CORTENSOR_STATUS_OK) {
        json_decref(tokens);
        free(text);
        return failed(status, error);
    }
    json_t *value = json_pack("{s:o, s:s, s:I, s:o}", "tokens", tokens, "text", text, "restarts", restarts, "end", end);
    free(text);
    return (struct outcome){.value = value};
}

static struct outcome drain(struct stage *stage, json_t *step)
{
    cortensor_error *error = NULL;
    cortensor_status status = cortensor_router_drain(stage->router, (int64_t)number(step, "timeout_ms"), &error);
    if (status != CORTENSOR_STATUS_OK &&
        (status != CORTENSOR_STATUS_TIMEOUT || strcmp(cortensor_error_code(error), "wait_timeout") != 0)) {
        return failed(status, error);
    }
    cortensor_error_free(error);
    return (struct outcome){.value = json_pack("{s:b}", "drained", status == CORTENSOR_STATUS_OK)};
}

static struct outcome metrics(struct stage *stage)
{
    cortensor_error *error = NULL;
    cortensor_bytes *bytes = NULL;
    cortensor_status status = cortensor_router_metrics(stage->router, &bytes, &error);
    struct outcome outcome = nothing(status, error);
    if (status == CORTENSOR_STATUS_OK) {
        outcome.value = json_pack("{s:s}", "text", cortensor_bytes_data(bytes));
        cortensor_bytes_free(bytes);
    }
    return outcome;
}

/* The text of an answer alone. */
static struct outcome answered(const cortensor_task *task)
{
    cortensor_error *error = NULL;
    cortensor_bytes *bytes = NULL;
    cortensor_status status = cortensor_task_text(task, LIMIT_MS, &bytes, &error);
    struct outcome outcome = nothing(status, error);
    if (status == CORTENSOR_STATUS_OK) {
        outcome.value = json_pack("{s:s%}", "text", cortensor_bytes_data(bytes), cortensor_bytes_len(bytes));
        cortensor_bytes_free(bytes);
    }
    return outcome;
}

/* The record of vectors. Its numbers must equal the lent ones. */
static struct outcome embedded(struct stage *stage, json_t *step, const char *options)
{
    cortensor_embeddings *embeddings = NULL;
    cortensor_bytes *bytes = NULL;
    cortensor_error *error = NULL;
    json_t *input = json_object_get(step, "input");
    char *text = json_is_string(input) ? text_of("%s", json_string_value(input)) : text_of("%s", "");
    char *more = json_is_array(input) ? dumped(input) : NULL;
    char *given = more == NULL ? text_of("%s", options) : text_of("{\"input\": %s}", more);
    cortensor_status status = cortensor_router_embed(
        stage->router, number(step, "session"), CORTENSOR_STR(text), CORTENSOR_STR(given), &embeddings, &error);
    free(text);
    free(more);
    free(given);
    if (status != CORTENSOR_STATUS_OK) {
        return record(status, NULL, error);
    }
    worked_out(embeddings);
    status = cortensor_embeddings_record(embeddings, &bytes, &error);
    cortensor_embeddings_free(embeddings);
    return record(status, bytes, error);
}

/* A record of the router, from a call without arguments. */
static const struct {
    const char *name;
    cortensor_status (*get)(const cortensor_router *router, cortensor_bytes **out, cortensor_error **err);
} RECORDS[] = {
    {"info", cortensor_router_info},
    {"status", cortensor_router_status},
    {"miners", cortensor_router_miners},
    {"models", cortensor_router_models},
};

/* Steps whose outcome is a record. `text` is the JSON argument of the call; NULL: it has none. */
static struct outcome play_record(struct stage *stage, json_t *step, const char *name, const char *text)
{
    const cortensor_router *router = stage->router;
    cortensor_bytes *bytes = NULL;
    cortensor_error *error = NULL;
    cortensor_status status;
    for (size_t i = 0; i < sizeof RECORDS / sizeof RECORDS[0]; i++) {
        if (strcmp(RECORDS[i].name, name) == 0) {
            status = RECORDS[i].get(router, &bytes, &error);
            return record(status, bytes, error);
        }
    }
    if (strcmp(name, "create_session") == 0) {
        status = cortensor_router_create_session(router, CORTENSOR_STR(text), NULL, &bytes, &error);
    } else if (strcmp(name, "session") == 0) {
        status = cortensor_router_session(router, number(step, "session"), &bytes, &error);
    } else if (strcmp(name, "close_session") == 0) {
        status = cortensor_router_close_session(router, number(step, "session"), &bytes, &error);
    } else if (strcmp(name, "update_session") == 0) {
        status = cortensor_router_update_session(router, number(step, "session"), CORTENSOR_STR(text), &bytes, &error);
    } else if (strcmp(name, "sessions") == 0) {
        status = cortensor_router_sessions(router, CORTENSOR_STR(text), &bytes, &error);
    } else if (strcmp(name, "tasks") == 0) {
        status = cortensor_router_tasks(router, number(step, "session"), CORTENSOR_STR(text), &bytes, &error);
    } else if (strcmp(name, "task") == 0) {
        status = cortensor_router_task(router, number(step, "session"), number(step, "task_id"), &bytes, &error);
    } else if (strcmp(name, "cancel") == 0) {
        status = cortensor_router_cancel(router, number(step, "session"), number(step, "task_id"), &bytes, &error);
    } else if (strcmp(name, "record") == 0) {
        status = cortensor_task_record(task_of(stage, step), &bytes, &error);
    } else if (strcmp(name, "result") == 0) {
        status = cortensor_task_result(task_of(stage, step), LIMIT_MS, &bytes, &error);
        if (status == CORTENSOR_STATUS_TIMEOUT && strcmp(cortensor_error_code(error), "wait_timeout") == 0) {
            broken("no result came for %d ms", LIMIT_MS);
        }
    } else {
        broken("no such step: %s", name);
    }
    return record(status, bytes, error);
}

static struct outcome play(struct stage *stage, json_t *step, const char *name, const char *text)
{
    cortensor_task *task = NULL;
    cortensor_error *error = NULL;
    cortensor_status status;
    if (strcmp(name, "submit") == 0) {
        status = cortensor_router_submit(stage->router, number(step, "session"), CORTENSOR_STR(text), &task, &error);
        return handle(status, task, error);
    }
    if (strcmp(name, "submit_prompt") == 0) {
        status = cortensor_router_submit_prompt(
            stage->router, number(step, "session"), CORTENSOR_STR(word(step, "prompt")), CORTENSOR_STR(text), &task, &error);
        return handle(status, task, error);
    }
    if (strcmp(name, "embed") == 0) {
        return embedded(stage, step, text);
    }
    if (strcmp(name, "text") == 0) {
        return answered(task_of(stage, step));
    }
    if (strcmp(name, "attach") == 0) {
        status = cortensor_router_attach(stage->router, number(step, "session"), number(step, "task_id"), &task, &error);
        return handle(status, task, error);
    }
    if (strcmp(name, "cancel_task") == 0) {
        status = cortensor_task_cancel(task_of(stage, step), &error);
        return nothing(status, error);
    }
    if (strcmp(name, "detach") == 0) {
        status = cortensor_task_detach(task_of(stage, step), &error);
        return nothing(status, error);
    }
    if (strcmp(name, "release") == 0) {
        stage_release(stage_task(stage, step));
        return nothing(CORTENSOR_STATUS_OK, NULL);
    }
    if (strcmp(name, "stream") == 0) {
        return read_stream(stage, step);
    }
    if (strcmp(name, "add_miner") == 0) {
        return stage_add_miner(stage, member(step, "miner"));
    }
    if (strcmp(name, "remove_miner") == 0) {
        status = cortensor_router_remove_miner(stage->router, CORTENSOR_STR(word(step, "name")), &error);
        return nothing(status, error);
    }
    if (strcmp(name, "miner_saw") == 0) {
        return stage_miner_saw(stage, word(step, "name"));
    }
    if (strcmp(name, "metrics") == 0) {
        return metrics(stage);
    }
    if (strcmp(name, "drain") == 0) {
        return drain(stage, step);
    }
    if (strcmp(name, "shutdown") == 0) {
        status = cortensor_router_shutdown(stage->router, LIMIT_MS, &error);
        return nothing(status, error);
    }
    return play_record(stage, step, name, text);
}

struct outcome play_step(struct stage *stage, json_t *step)
{
    static const char *const GIVEN[] = {"spec", "request", "patch", "query", "options"};
    char *text = NULL;
    struct outcome outcome;
    for (size_t i = 0; i < sizeof GIVEN / sizeof GIVEN[0] && text == NULL; i++) {
        json_t *given = json_object_get(step, GIVEN[i]);
        text = given == NULL ? NULL : dumped(given);
    }
    outcome = play(stage, step, word(step, "do"), text == NULL ? "" : text);
    free(text);
    return outcome;
}
