/* A miner that dials in to a router, here to a router of the same program. */
#include "check.h"
#include <pthread.h>

/* The text after `"name":"` in a flat record, up to the next quote. It is good enough for this test. */
static void text_of(const cortensor_bytes *record, const char *name, char *place, size_t size)
{
    const char *start = strstr(cortensor_bytes_data(record), name);
    size_t length;
    CHECK(start != NULL);
    start += strlen(name);
    length = strcspn(start, "\"");
    CHECK(length < size);
    memcpy(place, start, length);
    place[length] = 0;
}

int main(void)
{
    cortensor_router *router = open_router("{\"dispatch\": {\"no_miner_grace_ms\": 30000}}");
    cortensor_listener *listener = NULL;
    cortensor_bytes *bytes = NULL;
    cortensor_miner_client *client = NULL;
    cortensor_task *task;
    cortensor_miner_callbacks callbacks = {.struct_size = sizeof callbacks, .on_job = give_back};
    char token[256], id[256], config[512];

    MUST(cortensor_router_listen(router, CORTENSOR_STR("{\"port\": 0}"), &listener, &error));
    MUST(cortensor_router_create_key(router, CORTENSOR_STR("{\"name\": \"far\", \"scopes\": [\"miner\"]}"), &bytes, &error));
    text_of(bytes, "\"token\":\"", token, sizeof token);
    text_of(bytes, "\"id\":\"", id, sizeof id);
    cortensor_bytes_free(bytes);
    MUST(cortensor_listener_address(listener, &bytes, &error));
    snprintf(config, sizeof config, "{\"routers\": [\"ws://%s\"], \"name\": \"far\", \"token\": \"%s\"}", cortensor_bytes_data(bytes), token);
    cortensor_bytes_free(bytes);

    bytes = NULL;
    REFUSED(INVALID, "invalid_argument", cortensor_miner_client_start(CORTENSOR_STR("{\"routers\": [], \"name\": \"x\"}"), &callbacks, NULL, &client, &error));
    REFUSED(INVALID, "null_pointer", cortensor_miner_client_start(CORTENSOR_STR(config), NULL, NULL, &client, &error));
    REFUSED(INVALID, "null_pointer", cortensor_miner_client_stats(NULL, &bytes, &error));
    REFUSED(INVALID, "null_pointer", cortensor_miner_client_set_capacity(NULL, 1, &error));
    REFUSED(INVALID, "null_pointer", cortensor_miner_client_drain(NULL, 0, &error));
    REFUSED(INVALID, "null_pointer", cortensor_miner_client_close(NULL, 0, &error));
    cortensor_miner_client_free(NULL);
    CHECK(client == NULL && bytes == NULL);

    MUST(cortensor_miner_client_start(CORTENSOR_STR(config), &callbacks, NULL, &client, &error));
    task = submit(router, "{\"prompt\": \"from afar\"}");
    MUST(cortensor_task_result(task, 60000, &bytes, &error));
    CHECK(strstr(cortensor_bytes_data(bytes), "\"text\":\"from afar\"") != NULL);
    cortensor_bytes_free(bytes);
    cortensor_task_free(task);
    MUST(cortensor_miner_client_set_capacity(client, 1, &error));
    MUST(cortensor_miner_client_drain(client, 60000, &error));
    MUST(cortensor_miner_client_stats(client, &bytes, &error));
    CHECK(strstr(cortensor_bytes_data(bytes), "\"finished\":1") != NULL);
    cortensor_bytes_free(bytes);
    MUST(cortensor_miner_client_close(client, CORTENSOR_FOREVER, &error));
    MUST(cortensor_miner_client_close(client, CORTENSOR_FOREVER, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_miner_client_drain(client, 0, &error));
    cortensor_miner_client_free(client);

    MUST(cortensor_router_keys(router, &bytes, &error));
    CHECK(strstr(cortensor_bytes_data(bytes), "\"far\"") != NULL && strstr(cortensor_bytes_data(bytes), token) == NULL);
    cortensor_bytes_free(bytes);
    MUST(cortensor_router_delete_key(router, CORTENSOR_STR(id), &error));
    REFUSED(CORTENSOR_STATUS_NOT_FOUND, "key_not_found", cortensor_router_delete_key(router, CORTENSOR_STR(id), &error));
    MUST(cortensor_listener_stop(listener, CORTENSOR_FOREVER, &error));
    MUST(cortensor_listener_wait(listener, 60000, &error));
    cortensor_listener_free(listener);
    close_router(router);
    printf("remote: the distant miner worked\n");
    return EXIT_SUCCESS;
}
