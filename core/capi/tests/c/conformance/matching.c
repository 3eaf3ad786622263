/* Compares an outcome with the expectation of a scenario. */
#include "conformance.h"
#include <stdlib.h>

static char *wrong(json_t *expected, json_t *actual, const char *path)
{
    char *wanted = dumped(expected), *got = dumped(actual);
    char *text = text_of("%s: expected %s, got %s", path, wanted, got);
    free(wanted);
    free(got);
    return text;
}

static bool is_of_kind(const char *kind, json_t *actual)
{
    if (strcmp(kind, "$any") == 0) {
        return !json_is_null(actual);
    }
    if (strcmp(kind, "$number") == 0) {
        return json_is_number(actual);
    }
    if (strcmp(kind, "$text") == 0) {
        return json_is_string(actual) && json_string_length(actual) > 0;
    }
    if (strcmp(kind, "$absent") == 0) {
        return json_is_null(actual);
    }
    broken("no such matcher: %s", kind);
}

static char *differs(json_t *expected, json_t *actual, const char *path);

static char *members_differ(json_t *expected, json_t *actual, const char *path)
{
    const char *name;
    json_t *member, *part = json_object_get(expected, "$contains");
    if (part != NULL) {
        if (json_object_size(expected) != 1 || !json_is_string(part)) {
            broken("$contains is a text and stands alone");
        }
        return json_is_string(actual) && strstr(json_string_value(actual), json_string_value(part)) != NULL
                   ? NULL
                   : wrong(expected, actual, path);
    }
    if (!json_is_object(actual)) {
        return wrong(expected, actual, path);
    }
    json_object_foreach (expected, name, member) {
        char *deeper, *fault;
        if (name[0] == '$') {
            broken("no such matcher: %s", name);
        }
        deeper = text_of("%s.%s", path, name);
        fault = differs(member, json_object_get(actual, name), deeper);
        free(deeper);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

static char *items_differ(json_t *expected, json_t *actual, const char *path)
{
    size_t index;
    json_t *item;
    if (!json_is_array(actual) || json_array_size(actual) != json_array_size(expected)) {
        return wrong(expected, actual, path);
    }
    json_array_foreach (expected, index, item) {
        char *deeper = text_of("%s[%zu]", path, index);
        char *fault = differs(item, json_array_get(actual, index), deeper);
        free(deeper);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

static char *differs(json_t *expected, json_t *actual, const char *path)
{
    bool holds;
    if (actual == NULL) {
        actual = json_null(); /* lives for ever */
    }
    if (json_is_object(expected)) {
        return members_differ(expected, actual, path);
    }
    if (json_is_array(expected)) {
        return items_differ(expected, actual, path);
    }
    if (json_is_string(expected) && json_string_value(expected)[0] == '$') {
        holds = is_of_kind(json_string_value(expected), actual);
    } else if (json_is_number(expected)) {
        /* 1 and 1.0 are equal. */
        holds = json_is_number(actual) && !(json_number_value(expected) < json_number_value(actual)) &&
                !(json_number_value(expected) > json_number_value(actual));
    } else {
        holds = json_equal(expected, actual);
    }
    return holds ? NULL : wrong(expected, actual, path);
}

char *mismatch(json_t *expected, json_t *actual)
{
    return differs(expected, actual, "");
}
