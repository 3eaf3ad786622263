/* The parts of the conformance runner. What a scenario is tells core/tests/conformance/README.md. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <cortensor_router.h>
#include <jansson.h>
#include <stdatomic.h>

/* How long a step is repeated that is to hold at last, and how long anything may take at all. */
enum { PATIENCE_MS = 10000, LIMIT_MS = 20000 };

/* A scenario is wrong, or the library broke its word: says so and ends the program. */
_Noreturn void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text that the caller frees. */
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value as JSON, which the caller frees. */
char *dumped(const json_t *value);

/* matching.c: where and why `actual`, which may be NULL, is not what is expected. The caller frees it; NULL when it matches. */
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
/* Checks that the library let go of it once. */
void player_free(struct player *player);

/* scenario.c: what a step holds; one that does not hold it is broken. */
json_t *member(json_t *step, const char *name);
uint64_t number(json_t *step, const char *name);
const char *word(json_t *step, const char *name);

/* outcomes.c: what a step came to. `error`, the details of one, or else `value`, and a handle where it made one. */
struct outcome {
    json_t *value, *error;
    cortensor_task *task;
};
/* A call that failed. All of these take what they are given. */
struct outcome failed(cortensor_status status, cortensor_error *error);
/* A call that gives nothing, a record, or a task. */
struct outcome nothing(cortensor_status status, cortensor_error *error);
struct outcome record(cortensor_status status, cortensor_bytes *bytes, cortensor_error *error);
struct outcome handle(cortensor_status status, cortensor_task *task, cortensor_error *error);
void outcome_free(struct outcome outcome);

/* stage.c: a router with what a scenario made of it. */
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
/* The counts of the newest miner of that name. */
struct outcome stage_miner_saw(struct stage *stage, const char *name);
/* Where the handle stands that the step names. */
struct held **stage_task(struct stage *stage, json_t *step);
void stage_release(struct held **place);
/* Keeps an outcome under a name, and takes it. */
void stage_keep(struct stage *stage, const char *name, struct outcome outcome);

/* calls.c: plays a step in which all names are put in. */
struct outcome play_step(struct stage *stage, json_t *step);

/* scenario.c: plays a scenario; the text, which the caller frees, says what does not hold. NULL: all of it does. */
char *fault_of(json_t *scenario);

#endif
