/* The outcomes of calls, as values that can be compared. */
#include "conformance.h"

/* A call that failed. */
struct outcome failed(cortensor_status status, cortensor_error *error)
{
    struct outcome outcome = {.error = json_loads(cortensor_error_details(error), 0, NULL)};
    if (outcome.error == NULL || cortensor_error_status(error) != status) {
        broken("%s came with the error %s", cortensor_status_name(status), cortensor_error_details(error));
    }
    cortensor_error_free(error);
    return outcome;
}

/* A call without a result. */
struct outcome nothing(cortensor_status status, cortensor_error *error)
{
    if (status != CORTENSOR_STATUS_OK) {
        return failed(status, error);
    }
    if (error != NULL) {
        broken("an error came with success");
    }
    return (struct outcome){.value = json_null()};
}

/* A call that gives a record. */
struct outcome record(cortensor_status status, cortensor_bytes *bytes, cortensor_error *error)
{
    struct outcome outcome = nothing(status, error);
    if ((status == CORTENSOR_STATUS_OK) != (bytes != NULL)) {
        broken("an output is written on success alone");
    }
    if (bytes != NULL) {
        outcome.value = json_loadb(cortensor_bytes_data(bytes), cortensor_bytes_len(bytes), JSON_ALLOW_NUL, NULL);
        if (outcome.value == NULL) {
            broken("no JSON: %s", cortensor_bytes_data(bytes));
        }
        cortensor_bytes_free(bytes);
    }
    return outcome;
}

/* A call that gives a task. */
struct outcome handle(cortensor_status status, cortensor_task *task, cortensor_error *error)
{
    struct outcome outcome = nothing(status, error);
    if ((status == CORTENSOR_STATUS_OK) != (task != NULL)) {
        broken("an output is written on success alone");
    }
    if (task != NULL) {
        outcome.value = json_pack("{s:I, s:I, s:I, s:b}", "session_id", (json_int_t)cortensor_task_session_id(task), "task_id",
                                  (json_int_t)cortensor_task_id(task), "gid", (json_int_t)cortensor_task_gid(task), "joined",
                                  (int)cortensor_task_joined(task));
        outcome.task = task;
    }
    return outcome;
}

void outcome_free(struct outcome outcome)
{
    json_decref(outcome.value);
    json_decref(outcome.error);
    cortensor_task_free(outcome.task);
}
