/* The parts of the conformance runner. core/tests/conformance/README.md describes scenarios. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <cortensor_router.h>
#include <jansson.h>
#include <stdatomic.h>

/* The time for which a step with `until` is repeated, and the time limit for every call. */
enum { PATIENCE_MS = 10000, LIMIT_MS = 20000 };

/* Reports a wrong scenario or a wrong behaviour of the library, and ends the program. */
_Noreturn void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text that the caller frees. */
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value as JSON, which the caller frees. */
char *dumped(const json_t *value);

/* matching.c: the place and the reason why `actual`, which may be NULL, does not match. The caller frees the text; NULL:
 * it matches. */
char *mismatch(json_t *expected, json_t *actual);

/* players.c: a miner of a scenario. It must outlive its router. */
struct player {
    struct player *next;
    json_t *miner; /* as the scenario has it */
    json_t *with;  /* its settings, or NULL */
    void (*play)(struct player *player, cortensor_job *job, uint64_t number);
    char *answer; /* what it finishes with */
    atomic_uint_fast64_t jobs, cancelled, drops;
};
struct player *player_new(json_t *miner);
cortensor_miner_callbacks player_callbacks(struct player *player);
/* Checks that the library has dropped the miner exactly once. */
void player_free(struct player *player);

/* scenario.c: a required member of a step. A step without it is an error of the scenario. */
json_t *member(json_t *step, const char *name);
uint64_t number(json_t *step, const char *name);
const char *word(json_t *step, const char *name);

/* outcomes.c: the outcome of a step: the details of an error, or a value, and the handle if the step made one. */
struct outcome {
    json_t *value, *error;
    cortensor_task *task;
};
/* The outcome of a failed call. All of these functions take over their arguments. */
struct outcome failed(cortensor_status status, cortensor_error *error);
/* The outcome of a call without a result, with a record, or with a task. */
struct outcome nothing(cortensor_status status, cortensor_error *error);
struct outcome record(cortensor_status status, cortensor_bytes *bytes, cortensor_error *error);
struct outcome handle(cortensor_status status, cortensor_task *task, cortensor_error *error);
void outcome_free(struct outcome outcome);

/* stage.c: a router with the objects that a scenario has made. */
struct held {
    struct held *next;
    char *name;
    cortensor_task *task;
};
struct stage {
    cortensor_router *router;
    json_t *kept;
    struct held *tasks;
    struct player *players;
};
void stage_open(struct stage *stage, json_t *scenario);
void stage_close(struct stage *stage);
struct outcome stage_add_miner(struct stage *stage, json_t *miner);
/* The counts of the newest miner of this name. */
struct outcome stage_miner_saw(struct stage *stage, const char *name);
/* The place of the handle that the step names. */
struct held **stage_task(struct stage *stage, json_t *step);
void stage_release(struct held **place);
/* Keeps an outcome under a name. Takes over the outcome. */
void stage_keep(struct stage *stage, const char *name, struct outcome outcome);

/* calls.c: plays a step in which all names are replaced. */
struct outcome play_step(struct stage *stage, json_t *step);

/* scenario.c: plays a scenario. Returns the failed expectation as a text that the caller frees; NULL: all hold. */
char *fault_of(json_t *scenario);

#endif
