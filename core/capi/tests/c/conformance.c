/* Plays the scenarios of core/tests/conformance against the library, with the functions of its header only.
 * conformance DIRECTORY [NAME]: all scenarios, or the scenarios whose names begin with NAME. */
#include "conformance/conformance.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The minimum number of scenarios: with fewer, some are missing. */
enum { LEAST = 72 };

/* The present scenario, for messages about failures. */
static const char *playing = "-";

void broken(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "conformance: %s: ", playing);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(EXIT_FAILURE);
}

char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text;
    int len;
    va_start(arguments, format);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text == NULL) {
        broken("no memory");
    }
    va_start(arguments, format);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    return text;
}

char *dumped(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text == NULL) {
        broken("a value cannot be written as JSON");
    }
    return text;
}

static int is_scenarios(const struct dirent *entry)
{
    const char *ending = strrchr(entry->d_name, '.');
    return ending != NULL && strcmp(ending, ".json") == 0;
}

/* Plays the scenarios of a file. Returns the number of failed ones, and adds the number of all to `count`. */
static int play_file(const char *path, const char *wanted, int *count)
{
    json_error_t wrong;
    json_t *scenarios = json_load_file(path, JSON_REJECT_DUPLICATES, &wrong), *scenario;
    size_t index;
    int faults = 0;
    if (!json_is_array(scenarios)) {
        broken("%s:%d: %s", path, wrong.line, scenarios == NULL ? wrong.text : "no list of scenarios");
    }
    json_array_foreach (scenarios, index, scenario) {
        const char *name = word(scenario, "name");
        char *fault;
        if (strncmp(name, wanted, strlen(wanted)) != 0) {
            continue;
        }
        playing = name;
        fault = fault_of(scenario);
        playing = "-";
        ++*count;
        if (fault != NULL) {
            fprintf(stderr, "%s: %s\n  %s\n", path, name, fault);
            faults++;
        }
        free(fault);
    }
    json_decref(scenarios);
    return faults;
}

int main(int argc, char **argv)
{
    struct dirent **files = NULL;
    const char *wanted = argc > 2 ? argv[2] : "";
    int count = 0, faults = 0, found = argc > 1 ? scandir(argv[1], &files, is_scenarios, alphasort) : -1;
    if (found < 0) {
        broken("no directory of scenarios: %s", argc > 1 ? argv[1] : "name one");
    }
    for (int i = 0; i < found; i++) {
        char *path = text_of("%s/%s", argv[1], files[i]->d_name);
        faults += play_file(path, wanted, &count);
        free(path);
        free(files[i]);
    }
    free(files);
    if (count < (wanted[0] == 0 ? LEAST : 1)) {
        broken("only %d scenarios were found", count);
    }
    printf("conformance: %d scenarios were played from C, %d of them do not hold\n", count, faults);
    return faults == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
