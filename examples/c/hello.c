/* A router with one miner of this program's own: submits a task, prints its answer. */
#include <cortensor_router.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static void must(cortensor_status status, cortensor_error **error)
{
    if (status != CORTENSOR_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", cortensor_status_name(status), cortensor_error_message(*error));
        exit(EXIT_FAILURE);
    }
}

/* The miner: gives the prompt back, loudly. The job is ours: we answer it once, and free it. */
static void shout(void *user, cortensor_job *job)
{
    cortensor_bytes *prompt;
    (void)user;
    if (cortensor_job_prompt(job, &prompt, NULL) == CORTENSOR_STATUS_OK) {
        const char *text = cortensor_bytes_data(prompt);
        for (size_t i = 0; i < cortensor_bytes_len(prompt); i++) {
            char loud = (char)toupper((unsigned char)text[i]);
            if (cortensor_job_emit(job, &loud, 1, NULL, NULL) != CORTENSOR_STATUS_OK) {
                break; /* the answer is no longer wanted */
            }
        }
        cortensor_job_finish(job, CORTENSOR_EMPTY, NULL);
        cortensor_bytes_free(prompt);
    }
    cortensor_job_free(job);
}

int main(void)
{
    cortensor_error *error = NULL;
    cortensor_router *router;
    cortensor_task *task;
    cortensor_bytes *text;
    cortensor_miner_callbacks miner = {.struct_size = sizeof miner, .on_job = shout};

    if (cortensor_abi_version() != CORTENSOR_ABI_VERSION) {
        fprintf(stderr, "the library is %s, this program was built for %s\n", cortensor_version(), CORTENSOR_VERSION);
        return EXIT_FAILURE;
    }
    must(cortensor_router_open(CORTENSOR_EMPTY, NULL, &router, &error), &error);
    must(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"shout\"}"), &miner, NULL, &error), &error);

    /* Any text is a prompt: it need not be written as JSON. */
    must(cortensor_router_submit_prompt(router, 0, CORTENSOR_STR("say \"hello\""), CORTENSOR_EMPTY, &task, &error), &error);
    must(cortensor_task_text(task, CORTENSOR_FOREVER, &text, &error), &error);
    printf("%s\n", cortensor_bytes_data(text));

    cortensor_bytes_free(text);
    cortensor_task_free(task);
    must(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error), &error);
    cortensor_router_free(router);
    return EXIT_SUCCESS;
}
