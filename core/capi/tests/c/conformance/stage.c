/* A router with the objects that a scenario has made: miners, task handles, and outcomes by name. */
#include "conformance.h"
#include <stdlib.h>

struct held **stage_task(struct stage *stage, json_t *step)
{
    const char *name = word(step, "task");
    struct held **place = &stage->tasks;
    while (*place != NULL && (name[0] != '$' || strcmp((*place)->name, name + 1) != 0)) {
        place = &(*place)->next;
    }
    if (*place == NULL) {
        broken("no task handle %s", name);
    }
    return place;
}

void stage_release(struct held **place)
{
    struct held *held = *place;
    *place = held->next;
    cortensor_task_free(held->task);
    free(held->name);
    free(held);
}

struct outcome stage_add_miner(struct stage *stage, json_t *miner)
{
    cortensor_error *error = NULL;
    char *spec = dumped(member(miner, "spec"));
    struct player *player = player_new(miner);
    cortensor_miner_callbacks callbacks = player_callbacks(player);
    cortensor_status status = cortensor_router_add_miner(stage->router, CORTENSOR_STR(spec), &callbacks, NULL, &error);
    free(spec);
    if (status == CORTENSOR_STATUS_OK) {
        player->next = stage->players;
        stage->players = player;
    } else {
        player_free(player);
    }
    return nothing(status, error);
}

struct outcome stage_miner_saw(struct stage *stage, const char *name)
{
    for (struct player *player = stage->players; player != NULL; player = player->next) {
        const char *own = json_string_value(json_object_get(json_object_get(player->miner, "spec"), "name"));
        if (strcmp(own, name) == 0) {
            json_int_t jobs = (json_int_t)atomic_load(&player->jobs), cancelled = (json_int_t)atomic_load(&player->cancelled);
            return (struct outcome){.value = json_pack("{s:I, s:I}", "jobs", jobs, "cancelled", cancelled)};
        }
    }
    broken("no miner %s", name);
}

void stage_open(struct stage *stage, json_t *scenario)
{
    char *config = dumped(member(scenario, "config"));
    cortensor_error *error = NULL;
    size_t index;
    json_t *miner;
    memset(stage, 0, sizeof *stage);
    stage->kept = json_object();
    if (cortensor_router_open(CORTENSOR_STR(config), NULL, &stage->router, &error) != CORTENSOR_STATUS_OK) {
        broken("no router: %s", cortensor_error_message(error));
    }
    free(config);
    json_array_foreach (member(scenario, "miners"), index, miner) {
        struct outcome added = stage_add_miner(stage, miner);
        if (added.error != NULL) {
            char *shown = dumped(added.error);
            broken("no miner: %s", shown);
        }
    }
}

void stage_close(struct stage *stage)
{
    cortensor_error *error = NULL;
    if (cortensor_router_shutdown(stage->router, LIMIT_MS, &error) != CORTENSOR_STATUS_OK) {
        broken("the router does not end: %s", cortensor_error_message(error));
    }
    while (stage->tasks != NULL) {
        stage_release(&stage->tasks);
    }
    cortensor_router_free(stage->router);
    while (stage->players != NULL) {
        struct player *player = stage->players;
        stage->players = player->next;
        player_free(player);
    }
    json_decref(stage->kept);
}

void stage_keep(struct stage *stage, const char *name, struct outcome outcome)
{
    json_object_set_new(stage->kept, name, outcome.value);
    if (outcome.task != NULL) {
        struct held **place = &stage->tasks, *held;
        while (*place != NULL && strcmp((*place)->name, name) != 0) {
            place = &(*place)->next;
        }
        if (*place != NULL) {
            stage_release(place);
        }
        held = calloc(1, sizeof *held);
        if (held == NULL) {
            broken("no memory");
        }
        held->name = text_of("%s", name);
        held->task = outcome.task;
        held->next = stage->tasks;
        stage->tasks = held;
    }
}
