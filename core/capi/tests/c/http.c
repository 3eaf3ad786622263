/* The router answers requests of the program's own server like the listener, without a socket. */
#include "check.h"
#include "hand.h"

#define NULL_POINTER "null_pointer"
#define TOKEN "Authorization: Bearer default-dev-token\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: localhost\r\n" TOKEN "Content-Type: application/json\r\n\r\n"
#define NEAR CORTENSOR_STR("127.0.0.1:4711")

/* The time limit for an expected event, in milliseconds. */
enum { PATIENCE_MS = 60000 };

static cortensor_http_response *ask(cortensor_http_handler *handler, const char *head, const char *body)
{
    cortensor_http_response *response = NULL;
    MUST(cortensor_http_handler_handle(handler, CORTENSOR_STR(head), CORTENSOR_STR(body), NEAR, &response, &error));
    return response;
}

static uint16_t status_of(cortensor_http_response *response)
{
    uint16_t http_status = 0;
    MUST(cortensor_http_response_head(response, PATIENCE_MS, &http_status, NULL, &error));
    return http_status;
}

/* Appends the next piece to the text; false: the body is over. */
static bool read_piece(cortensor_http_response *response, char *text, size_t size)
{
    cortensor_bytes *piece = NULL;
    cortensor_error *error = NULL;
    size_t used = strlen(text);
    cortensor_status status = cortensor_http_response_next(response, PATIENCE_MS, &piece, &error);
    if (status == CORTENSOR_STATUS_CLOSED && strcmp(cortensor_error_code(error), "body_over") == 0) {
        cortensor_error_free(error);
        return false;
    }
    CHECK(status == CORTENSOR_STATUS_OK && cortensor_bytes_len(piece) > 0 && used + cortensor_bytes_len(piece) < size);
    memcpy(text + used, cortensor_bytes_data(piece), cortensor_bytes_len(piece) + 1);
    cortensor_bytes_free(piece);
    return true;
}

/* Plays a whole exchange: checks the status and writes the body to `text`. */
static void exchange(cortensor_http_handler *handler, const char *head, const char *body, uint16_t status, char *text, size_t size)
{
    cortensor_http_response *response = ask(handler, head, body);
    CHECK(status_of(response) == status);
    text[0] = 0;
    while (read_piece(response, text, size)) {
    }
    CHECK(!read_piece(response, text, size));
    cortensor_http_response_free(response);
}

static void requests_are_answered(void)
{
    cortensor_router *router = open_router("{\"limits\": {\"max_request_bytes\": 65536, \"max_upload_bytes\": 65536}}");
    cortensor_http_handler *handler = NULL;
    cortensor_http_response *response;
    cortensor_bytes *headers = NULL;
    uint16_t http_status = 0;
    char text[8192], *large;

    add_miner(router, "{\"name\": \"m\"}", give_back, NULL);
    MUST(cortensor_router_http_handler(router, CORTENSOR_EMPTY, &handler, &error));
    CHECK(cortensor_http_handler_max_body_bytes(handler) == 65536);
    exchange(handler, "GET /readyz HTTP/1.1\r\n\r\n", "", 200, text, sizeof text);
    exchange(handler, POST("/api/v1/sessions"), "{\"name\": \"by hand\"}", 200, text, sizeof text);
    exchange(handler, "GET /api/v1/sessions/2 HTTP/1.1\r\n" TOKEN "\r\n", "", 200, text, sizeof text);
    CHECK(strstr(text, "by hand") != NULL);
    exchange(handler, POST("/api/v1/completions/2"), "{\"prompt\": \"hello\"}", 200, text, sizeof text);
    CHECK(strstr(text, "hello") != NULL);
    exchange(handler, POST("/v1/chat/completions"), "{\"model\": \"default\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"stream\": true}", 200, text,
             sizeof text);
    CHECK(strncmp(text, "data: ", 6) == 0 && strstr(text, "\"hi\"") != NULL && strstr(text, "data: [DONE]\n\n") != NULL);

    /* The head as on the wire. */
    response = ask(handler, "GET /api/v1/info HTTP/1.1\r\n" TOKEN "\r\n", "");
    MUST(cortensor_http_response_head(response, PATIENCE_MS, &http_status, &headers, &error));
    CHECK(http_status == 200 && strstr(cortensor_bytes_data(headers), "content-type: application/json\r\n") != NULL);
    CHECK(strstr(cortensor_bytes_data(headers), "\r\n\r\n") == NULL);
    cortensor_bytes_free(headers);
    cortensor_http_response_free(response);

    /* A refusal of the API is a response, not an error of the call. */
    exchange(handler, "GET /nowhere HTTP/1.1\r\n" TOKEN "\r\n", "", 404, text, sizeof text);
    exchange(handler, "GET /api/v1/info HTTP/1.1\r\n\r\n", "", 401, text, sizeof text);
    exchange(handler, POST("/api/v1/completions"), "{\"prompt\": 7}", 400, text, sizeof text);
    large = calloc(1, 65536 + 2);
    CHECK(large != NULL);
    memset(large, ' ', 65536 + 1);
    exchange(handler, POST("/api/v1/completions"), large, 413, text, sizeof text);
    free(large);
    /* The development token is for senders on this machine only; an unknown sender does not count as one. */
    MUST(cortensor_http_handler_handle(handler, CORTENSOR_STR("GET /api/v1/info HTTP/1.1\r\n" TOKEN "\r\n"), CORTENSOR_EMPTY, CORTENSOR_EMPTY, &response, &error));
    CHECK(status_of(response) == 401);
    cortensor_http_response_free(response);

    cortensor_http_handler_free(handler);
    close_router(router);
}

static void *read_for_ever(void *response)
{
    cortensor_bytes *piece = NULL;
    cortensor_status status;
    /* The other thread may still be reading for a moment. */
    do {
        status = cortensor_http_response_next(response, CORTENSOR_FOREVER, &piece, NULL);
    } while (status == CORTENSOR_STATUS_CONFLICT);
    CHECK(status == CORTENSOR_STATUS_OK && strstr(cortensor_bytes_data(piece), "more") != NULL);
    cortensor_bytes_free(piece);
    return NULL;
}

static void freeing_a_response_is_hanging_up(void)
{
    struct hand hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    cortensor_router *router = open_router("");
    cortensor_http_handler *handler = NULL;
    cortensor_http_response *response;
    cortensor_bytes *bytes = NULL;
    cortensor_job *job;
    cortensor_status status;
    pthread_t reader;
    uint16_t http_status = 0;
    char text[4096] = "";

    add_miner(router, "{\"name\": \"kept\"}", keep, &hand);
    MUST(cortensor_router_http_handler(router, CORTENSOR_STR("{\"dev_token\": true}"), &handler, &error));

    /* A response that is freed before its head. */
    response = ask(handler, POST("/api/v1/completions"), "{\"prompt\": \"x\"}");
    job = take(&hand);
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_http_response_head(response, 0, &http_status, NULL, &error));
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_http_response_next(response, 0, &bytes, &error));
    CHECK(http_status == 0 && bytes == NULL && !cortensor_job_is_cancelled(job));
    cortensor_http_response_free(response);
    MUST(cortensor_job_wait_cancelled(job, PATIENCE_MS, &error));
    cortensor_job_free(job);

    /* A response that is freed in mid-stream; pieces come as the miner gives them. */
    response = ask(handler, POST("/api/v1/completions"), "{\"prompt\": \"x\", \"stream\": true}");
    job = take(&hand);
    MUST(cortensor_job_emit(job, CORTENSOR_STR("first"), NULL, &error));
    CHECK(status_of(response) == 200);
    while (strstr(text, "first") == NULL) {
        CHECK(read_piece(response, text, sizeof text));
    }
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_http_response_next(response, 0, &bytes, &error));
    CHECK(pthread_create(&reader, NULL, read_for_ever, response) == 0);
    do {
        cortensor_error *error = NULL;
        status = cortensor_http_response_next(response, 0, &bytes, &error);
        CHECK(status == CORTENSOR_STATUS_TIMEOUT || strcmp(cortensor_error_code(error), "response_in_use") == 0);
        cortensor_error_free(error);
    } while (status != CORTENSOR_STATUS_CONFLICT);
    MUST(cortensor_job_emit(job, CORTENSOR_STR("more"), NULL, &error));
    CHECK(pthread_join(reader, NULL) == 0);
    CHECK(!cortensor_job_is_cancelled(job));
    cortensor_http_response_free(response);
    MUST(cortensor_job_wait_cancelled(job, PATIENCE_MS, &error));
    cortensor_job_free(job);

    /* A shutdown ends responses that are not read to the end, and new ones are refused. */
    response = ask(handler, POST("/api/v1/completions"), "{\"prompt\": \"x\", \"stream\": true}");
    job = take(&hand);
    MUST(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error));
    CHECK(cortensor_job_is_cancelled(job));
    cortensor_job_free(job);
    cortensor_http_response_free(response);
    response = NULL;
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_http_handler_handle(handler, CORTENSOR_STR("GET /readyz HTTP/1.1\r\n\r\n"), CORTENSOR_EMPTY, NEAR, &response, &error));
    CHECK(response == NULL && cortensor_http_handler_max_body_bytes(handler) == 0);
    cortensor_router_free(router);
    cortensor_http_handler_free(handler);
}

static void what_is_no_request_is_refused(void)
{
    cortensor_router *router = open_router("");
    cortensor_http_handler *handler = NULL, *real = NULL;
    cortensor_http_response *response = NULL;
    cortensor_bytes *bytes = NULL;
    uint16_t http_status = 0;
    char many[4096] = "GET / HTTP/1.1\r\n";

    REFUSED(INVALID, NULL_POINTER, cortensor_router_http_handler(NULL, CORTENSOR_EMPTY, &handler, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_http_handler(router, CORTENSOR_EMPTY, NULL, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_router_http_handler(router, CORTENSOR_STR("{\"prot\": 0}"), &handler, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_http_response_head(NULL, 0, &http_status, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_http_response_next(NULL, 0, &bytes, &error));
    CHECK(handler == NULL && bytes == NULL && http_status == 0 && cortensor_http_handler_max_body_bytes(NULL) == 0);
    cortensor_http_handler_free(NULL);
    cortensor_http_response_free(NULL);

    MUST(cortensor_router_http_handler(router, CORTENSOR_EMPTY, &real, &error));
    for (int i = 0; i < 101; i++) {
        strcat(many, "x: y\r\n");
    }
    strcat(many, "\r\n");
    {
        const char *heads[] = {"", "GET", "GET /\r\n\r\n", "GET / HTTP/1.1\r\n", "G@T / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\nmore",
                               "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nx: \x01\r\n\r\n", many};
        for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
            REFUSED(INVALID, "invalid_argument", cortensor_http_handler_handle(real, CORTENSOR_STR(heads[i]), CORTENSOR_EMPTY, NEAR, &response, &error));
        }
    }
#define GET CORTENSOR_STR("GET / HTTP/1.1\r\n\r\n")
    REFUSED(INVALID, NULL_POINTER, cortensor_http_handler_handle(NULL, GET, CORTENSOR_EMPTY, NEAR, &response, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_http_handler_handle(real, NULL, 5, CORTENSOR_EMPTY, NEAR, &response, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_http_handler_handle(real, GET, NULL, 5, NEAR, &response, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_http_handler_handle(real, GET, CORTENSOR_EMPTY, NULL, 5, &response, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_http_handler_handle(real, GET, CORTENSOR_EMPTY, NEAR, NULL, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_http_handler_handle(real, GET, CORTENSOR_EMPTY, CORTENSOR_STR("localhost"), &response, &error));
    CHECK(response == NULL);
    cortensor_http_handler_free(real);
    close_router(router);
}

int main(void)
{
    requests_are_answered();
    freeing_a_response_is_hanging_up();
    what_is_no_request_is_refused();
    printf("http: requests were answered without a socket\n");
    return EXIT_SUCCESS;
}
