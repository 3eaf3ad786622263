/* The miners of the scenarios. */
#include "conformance.h"
#include <stdlib.h>

static const char *setting(struct player *player, const char *name)
{
    json_t *text = json_object_get(player->with, name);
    if (!json_is_string(text)) {
        broken("the miner's setting %s is no text", name);
    }
    return json_string_value(text);
}

/* A miner's call for its job must succeed, unless the job was cancelled. */
static bool worked(cortensor_status status, cortensor_error *error, cortensor_status allowed)
{
    if (status != CORTENSOR_STATUS_OK && status != allowed) {
        broken("a miner's call failed: %s", cortensor_error_message(error));
    }
    cortensor_error_free(error);
    return status == CORTENSOR_STATUS_OK;
}

/* false: the job was cancelled. */
static bool emit(cortensor_job *job, const char *piece, size_t len)
{
    cortensor_error *error = NULL;
    cortensor_status status = cortensor_job_emit(job, piece, len, NULL, &error);
    return worked(status, error, CORTENSOR_STATUS_CANCELLED);
}

static void finish(cortensor_job *job, const char *answer)
{
    cortensor_error *error = NULL;
    cortensor_status status = cortensor_job_finish(job, CORTENSOR_STR(answer), &error);
    worked(status, error, CORTENSOR_STATUS_OK);
}

static void fail_with(cortensor_job *job, const char *code, const char *message)
{
    cortensor_error *error = NULL;
    cortensor_status status = cortensor_job_fail(job, CORTENSOR_STR(code), CORTENSOR_STR(message), &error);
    worked(status, error, CORTENSOR_STATUS_OK);
}

/* A piece is a text, or {"bytes": [...]}. */
static bool emit_piece(cortensor_job *job, json_t *piece)
{
    json_t *numbers = json_object_get(piece, "bytes");
    char bytes[64];
    size_t count = json_array_size(numbers);
    if (json_is_string(piece)) {
        return emit(job, json_string_value(piece), json_string_length(piece));
    }
    if (!json_is_array(numbers) || count > sizeof bytes) {
        broken("a piece is a text, or {\"bytes\": [...]} of not too many");
    }
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (char)json_integer_value(json_array_get(numbers, i));
    }
    return emit(job, bytes, count);
}

static bool emit_pieces(struct player *player, cortensor_job *job)
{
    json_t *pieces = json_object_get(player->with, "pieces");
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        if (!emit_piece(job, json_array_get(pieces, i))) {
            return false;
        }
    }
    return true;
}

static void play_words(struct player *player, cortensor_job *job, uint64_t number)
{
    cortensor_bytes *prompt = NULL;
    cortensor_error *error = NULL;
    cortensor_status status = cortensor_job_prompt(job, &prompt, &error);
    const char *rest;
    (void)player;
    (void)number;
    worked(status, error, CORTENSOR_STATUS_OK);
    rest = cortensor_bytes_data(prompt);
    while (*rest != 0) {
        size_t len = strcspn(rest, " ");
        len += strspn(rest + len, " ");
        if (!emit(job, rest, len)) {
            break;
        }
        rest += len;
    }
    if (*rest == 0) {
        finish(job, "");
    }
    cortensor_bytes_free(prompt);
}

static void play_pieces(struct player *player, cortensor_job *job, uint64_t number)
{
    (void)number;
    if (emit_pieces(player, job)) {
        finish(job, player->answer);
    }
}

static void play_whole(struct player *player, cortensor_job *job, uint64_t number)
{
    (void)number;
    finish(job, player->answer);
}

/* Ends the job without any content. The error that the miner gets reaches the caller, too. */
static void play_silent(struct player *player, cortensor_job *job, uint64_t number)
{
    cortensor_error *error = NULL;
    cortensor_status status = cortensor_job_finish(job, CORTENSOR_EMPTY, &error);
    (void)player;
    (void)number;
    if (status != CORTENSOR_STATUS_INVALID_ARGUMENT || strcmp(cortensor_error_code(error), "no_answer") != 0) {
        broken("a job that ends without a word is not refused");
    }
    cortensor_error_free(error);
}

static void play_parts(struct player *player, cortensor_job *job, uint64_t number)
{
    json_t *parts = json_object_get(player->with, "parts");
    (void)number;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        char *text = dumped(json_array_get(parts, i));
        cortensor_error *error = NULL;
        cortensor_status status = cortensor_job_emit_parts(job, CORTENSOR_STR(text), NULL, &error);
        free(text);
        worked(status, error, CORTENSOR_STATUS_OK);
    }
    finish(job, player->answer);
}

static void play_hold(struct player *player, cortensor_job *job, uint64_t number)
{
    cortensor_error *error = NULL;
    cortensor_status status;
    (void)number;
    emit_pieces(player, job);
    status = cortensor_job_wait_cancelled(job, CORTENSOR_FOREVER, &error);
    worked(status, error, CORTENSOR_STATUS_OK);
    if (!cortensor_job_is_cancelled(job)) {
        broken("a job that was cancelled does not say so");
    }
    atomic_fetch_add(&player->cancelled, 1);
}

static void play_fail(struct player *player, cortensor_job *job, uint64_t number)
{
    (void)number;
    emit_pieces(player, job);
    fail_with(job, setting(player, "code"), setting(player, "message"));
}

static void play_flaky(struct player *player, cortensor_job *job, uint64_t number)
{
    json_t *times = json_object_get(player->with, "times");
    if (!json_is_integer(times)) {
        broken("the setting times of a flaky miner is no number");
    }
    if (number < (uint64_t)json_integer_value(times)) {
        fail_with(job, setting(player, "code"), "not this time");
    } else {
        play_words(player, job, number);
    }
}

static void play_reject(struct player *player, cortensor_job *job, uint64_t number)
{
    cortensor_error *error = NULL;
    cortensor_status status = cortensor_job_reject(job, CORTENSOR_STR(setting(player, "reason")), &error);
    (void)number;
    worked(status, error, CORTENSOR_STATUS_OK);
}

/* Frees the job without an answer. */
static void play_drop(struct player *player, cortensor_job *job, uint64_t number)
{
    (void)player;
    (void)job;
    (void)number;
}

static const struct {
    const char *name;
    void (*play)(struct player *player, cortensor_job *job, uint64_t number);
} BEHAVIOURS[] = {
    {"words", play_words}, {"pieces", play_pieces}, {"whole", play_whole},   {"hold", play_hold},
    {"fail", play_fail},   {"flaky", play_flaky},   {"reject", play_reject}, {"drop", play_drop},
    {"silent", play_silent}, {"parts", play_parts},
};

static void on_job(void *user, cortensor_job *job)
{
    struct player *player = user;
    player->play(player, job, atomic_fetch_add(&player->jobs, 1));
    cortensor_job_free(job);
}

static void on_drop(void *user)
{
    struct player *player = user;
    atomic_fetch_add(&player->drops, 1);
}

struct player *player_new(json_t *miner)
{
    const char *behaviour = json_string_value(json_object_get(miner, "behaviour"));
    struct player *player = calloc(1, sizeof *player);
    json_t *answer;
    if (player == NULL || behaviour == NULL) {
        broken("a miner has no behaviour");
    }
    for (size_t i = 0; i < sizeof BEHAVIOURS / sizeof BEHAVIOURS[0]; i++) {
        if (strcmp(BEHAVIOURS[i].name, behaviour) == 0) {
            player->play = BEHAVIOURS[i].play;
        }
    }
    if (player->play == NULL) {
        broken("no such behaviour: %s", behaviour);
    }
    player->miner = json_incref(miner);
    player->with = json_object_get(miner, "with");
    answer = json_object_get(player->with, "answer");
    player->answer = answer == NULL ? text_of("%s", "") : dumped(answer);
    return player;
}

cortensor_miner_callbacks player_callbacks(struct player *player)
{
    cortensor_miner_callbacks callbacks = {.struct_size = sizeof callbacks, .user = player, .on_job = on_job, .drop = on_drop};
    return callbacks;
}

void player_free(struct player *player)
{
    if (atomic_load(&player->drops) != 1) {
        broken("a miner was let go %d times", (int)atomic_load(&player->drops));
    }
    json_decref(player->miner);
    free(player->answer);
    free(player);
}
