/* Plays the steps of a scenario one after the other, and compares their outcomes. */
#include "conformance.h"
#include <stdlib.h>
#include <time.h>

json_t *member(json_t *step, const char *name)
{
    json_t *value = json_object_get(step, name);
    if (value == NULL) {
        char *shown = dumped(step);
        broken("a step without %s: %s", name, shown);
    }
    return value;
}

uint64_t number(json_t *step, const char *name)
{
    json_t *value = member(step, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        char *shown = dumped(step);
        broken("%s is no number: %s", name, shown);
    }
    return (uint64_t)json_integer_value(value);
}

const char *word(json_t *step, const char *name)
{
    const char *value = json_string_value(member(step, name));
    if (value == NULL) {
        char *shown = dumped(step);
        broken("%s is no text: %s", name, shown);
    }
    return value;
}

/* The members that a step may have. */
static const char *const MEMBERS[] = {"do",      "as",    "expect", "error",  "until", "session",    "task",  "task_id", "spec",   "input",
                                      "request", "patch", "query",  "prompt", "miner", "timeout_ms", "after", "take",    "options", "name"};

static void check_members(json_t *step)
{
    const char *name;
    json_t *value;
    json_object_foreach (step, name, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof MEMBERS / sizeof MEMBERS[0]; i++) {
            known = known || strcmp(MEMBERS[i], name) == 0;
        }
        if (!known) {
            broken("a step has no member %s", name);
        }
    }
}

/* The value of "$name.path"; NULL: the text does not have that form. */
static json_t *looked_up(struct stage *stage, const char *text)
{
    char *name, *dot;
    json_t *value;
    if (text[0] != '$' || strchr(text, '.') == NULL) {
        return NULL;
    }
    name = text_of("%s", text + 1);
    dot = strchr(name, '.');
    *dot = 0;
    value = json_object_get(stage->kept, name);
    while (value != NULL && dot != NULL) {
        char *part = dot + 1;
        dot = strchr(part, '.');
        if (dot != NULL) {
            *dot = 0;
        }
        value = json_is_array(value) ? json_array_get(value, strtoul(part, NULL, 10)) : json_object_get(value, part);
    }
    if (value == NULL) {
        broken("nothing was kept as %s", text);
    }
    free(name);
    return value;
}

/* The step with every "$name.path" replaced by its value. The caller frees it. */
static json_t *resolved(struct stage *stage, json_t *value)
{
    json_t *found, *copy, *item;
    const char *name;
    size_t index;
    if (json_is_string(value)) {
        found = looked_up(stage, json_string_value(value));
        return json_incref(found == NULL ? value : found);
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach (value, index, item) {
            json_array_append_new(copy, resolved(stage, item));
        }
        return copy;
    }
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach (value, name, item) {
            json_object_set_new(copy, name, resolved(stage, item));
        }
        return copy;
    }
    return json_incref(value);
}

/* The place and the reason why an outcome does not match the step. The caller frees the text; NULL: it matches. */
static char *wrong_with(json_t *step, struct outcome outcome)
{
    json_t *error = json_object_get(step, "error"), *expected = json_object_get(step, "expect");
    char *shown, *text;
    if (error != NULL && expected != NULL) {
        broken("a step expects an outcome or an error, not both");
    }
    if (error != NULL && outcome.error != NULL) {
        return mismatch(error, outcome.error);
    }
    if (outcome.error == NULL && error == NULL) {
        return expected == NULL ? NULL : mismatch(expected, outcome.value);
    }
    shown = dumped(outcome.error == NULL ? outcome.value : outcome.error);
    text = text_of(outcome.error == NULL ? "expected an error, got %s" : "failed: %s", shown);
    free(shown);
    return text;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Plays a step, again and again if it has `until`. */
static char *wrong_step(struct stage *stage, json_t *step)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    int64_t deadline = now_ms() + PATIENCE_MS;
    for (;;) {
        struct outcome outcome = play_step(stage, step);
        char *wrong = wrong_with(step, outcome);
        if (wrong == NULL) {
            const char *name = json_string_value(json_object_get(step, "as"));
            if (name != NULL) {
                stage_keep(stage, name, outcome);
            } else {
                outcome_free(outcome);
            }
            return NULL;
        }
        outcome_free(outcome);
        if (!json_is_true(json_object_get(step, "until")) || now_ms() >= deadline) {
            return wrong;
        }
        free(wrong);
        nanosleep(&pause, NULL);
    }
}

char *fault_of(json_t *scenario)
{
    struct stage stage;
    char *fault = NULL;
    size_t index;
    json_t *step;
    stage_open(&stage, scenario);
    json_array_foreach (member(scenario, "steps"), index, step) {
        json_t *whole;
        char *wrong;
        check_members(step);
        whole = resolved(&stage, step);
        wrong = wrong_step(&stage, whole);
        json_decref(whole);
        if (wrong != NULL) {
            char *shown = dumped(step);
            fault = text_of("step %zu %s\n    %s", index + 1, shown, wrong);
            free(shown);
            free(wrong);
            break;
        }
    }
    stage_close(&stage);
    return fault;
}
