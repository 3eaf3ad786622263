/* The REST API and OpenAI's behind an HTTP server that the program has already: here a small one, with a thread for each connection.
 *
 * A client that hangs up is noticed: its response is freed, and so the miner is told to stop. */
#define _POSIX_C_SOURCE 200809L
#include <cortensor_router.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* How long a client may take to send, and how often we look whether it is still there. */
enum { SECONDS = 10, LOOK_MS = 200 };

struct server {
    cortensor_http_handler *handler;
    int socket;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned connections;
};

struct connection {
    struct server *server;
    int socket;
    char peer[INET_ADDRSTRLEN];
};

static void must(cortensor_status status, cortensor_error **error)
{
    if (status != CORTENSOR_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", cortensor_status_name(status), cortensor_error_message(*error));
        exit(EXIT_FAILURE);
    }
}

/* The miner: emits `tick` until no client reads, but not for ever. */
static void tick(void *user, cortensor_job *job)
{
    cortensor_status status = CORTENSOR_STATUS_OK;
    (void)user;
    for (int i = 0; i < 100000 && status == CORTENSOR_STATUS_OK; i++) {
        bool full = false;
        status = cortensor_job_emit(job, CORTENSOR_STR("tick "), &full, NULL);
        if (status == CORTENSOR_STATUS_OK && full) {
            cortensor_job_wait_writable(job, CORTENSOR_FOREVER, NULL);
        }
    }
    if (status == CORTENSOR_STATUS_CANCELLED) {
        printf("the client hung up\n");
        fflush(stdout);
    }
    cortensor_job_finish(job, CORTENSOR_EMPTY, NULL);
    cortensor_job_free(job);
}

static bool send_all(int socket, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(socket, data, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool send_text(int socket, const char *text)
{
    return send_all(socket, text, strlen(text));
}

static bool hung_up(int socket)
{
    char byte;
    ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Whether it did not come in time, and the client still waits for it. */
static bool is_to_wait(cortensor_status status, int socket)
{
    return status == CORTENSOR_STATUS_TIMEOUT && !hung_up(socket);
}

/* Passes the answer on piece by piece, as the router gives it. */
static void answer(int socket, cortensor_http_response *response)
{
    cortensor_bytes *headers, *piece;
    cortensor_status status;
    uint16_t http_status;
    char line[64];
    bool sent;

    do {
        status = cortensor_http_response_head(response, LOOK_MS, &http_status, &headers, NULL);
    } while (is_to_wait(status, socket));
    if (status != CORTENSOR_STATUS_OK) {
        return;
    }
    snprintf(line, sizeof line, "HTTP/1.1 %u \r\nconnection: close\r\n", (unsigned)http_status);
    sent = send_text(socket, line) && send_text(socket, cortensor_bytes_data(headers)) && send_text(socket, "\r\n");
    cortensor_bytes_free(headers);
    while (sent) {
        status = cortensor_http_response_next(response, LOOK_MS, &piece, NULL);
        if (status == CORTENSOR_STATUS_OK) {
            sent = send_all(socket, cortensor_bytes_data(piece), cortensor_bytes_len(piece));
            cortensor_bytes_free(piece);
        } else if (!is_to_wait(status, socket)) {
            break; /* the body is over, or the client has gone */
        }
    }
}

/* The length of the body, as the head tells it. */
static size_t body_length(const char *head)
{
    static const char name[] = "content-length:";
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, sizeof name - 1) == 0) {
            return strtoull(line + 2 + sizeof name - 1, NULL, 10);
        }
    }
    return 0;
}

static void serve(struct connection *connection)
{
    cortensor_http_handler *handler = connection->server->handler;
    cortensor_http_response *response;
    int socket = connection->socket;
    char head[8192 + 1], *end = NULL, *body;
    size_t filled = 0, head_len, body_len, have;

    while (end == NULL) {
        ssize_t got = filled < sizeof head - 1 ? recv(socket, head + filled, sizeof head - 1 - filled, 0) : 0;
        if (got <= 0) {
            return;
        }
        filled += (size_t)got;
        head[filled] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    head_len = (size_t)(end + 4 - head);
    have = filled - head_len;
    body_len = body_length(head);
    if (body_len > cortensor_http_handler_max_body_bytes(handler)) {
        send_text(socket, "HTTP/1.1 413 \r\nconnection: close\r\n\r\n");
        return;
    }
    have = have < body_len ? have : body_len;
    body = malloc(body_len + 1);
    if (body == NULL) {
        return;
    }
    memcpy(body, head + head_len, have);
    while (have < body_len) {
        ssize_t got = recv(socket, body + have, body_len - have, 0);
        if (got <= 0) {
            free(body);
            return;
        }
        have += (size_t)got;
    }
    if (cortensor_http_handler_handle(handler, head, head_len, body, body_len, CORTENSOR_STR(connection->peer), &response, NULL) ==
        CORTENSOR_STATUS_OK) {
        answer(socket, response);
        cortensor_http_response_free(response);
    } else {
        send_text(socket, "HTTP/1.1 400 \r\nconnection: close\r\n\r\n");
    }
    free(body);
}

static void *connection_thread(void *user)
{
    struct connection *connection = user;
    struct server *server = connection->server;
    serve(connection);
    close(connection->socket);
    free(connection);
    pthread_mutex_lock(&server->lock);
    server->connections--;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* Takes connections until the socket is shut down. */
static void *accept_thread(void *user)
{
    struct server *server = user;
    struct timeval patience = {.tv_sec = SECONDS};
    for (;;) {
        struct sockaddr_in address;
        socklen_t len = sizeof address;
        int socket = accept(server->socket, (struct sockaddr *)&address, &len);
        struct connection *connection;
        pthread_t thread;
        if (socket < 0) {
            return NULL;
        }
        connection = calloc(1, sizeof *connection);
        if (connection == NULL) {
            close(socket);
            continue;
        }
        connection->server = server;
        connection->socket = socket;
        inet_ntop(AF_INET, &address.sin_addr, connection->peer, sizeof connection->peer);
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        pthread_mutex_lock(&server->lock);
        server->connections++;
        pthread_mutex_unlock(&server->lock);
        if (pthread_create(&thread, NULL, connection_thread, connection) == 0) {
            pthread_detach(thread);
        } else {
            connection_thread(connection);
        }
    }
}

int main(int argc, char **argv)
{
    cortensor_error *error = NULL;
    cortensor_router *router;
    cortensor_miner_callbacks miner = {.struct_size = sizeof miner, .on_job = tick};
    struct server server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    pthread_t accepting;
    sigset_t ending;
    int signal_number;

    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);

    must(cortensor_router_open(CORTENSOR_EMPTY, NULL, &router, &error), &error);
    must(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"tick\", \"capacity\": 8}"), &miner, NULL, &error), &error);
    must(cortensor_router_http_handler(router, CORTENSOR_EMPTY, &server.handler, &error), &error);

    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 5010));
    server.socket = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.socket, (struct sockaddr *)&address, sizeof address) != 0 || listen(server.socket, 16) != 0 ||
        getsockname(server.socket, (struct sockaddr *)&address, &len) != 0 ||
        pthread_create(&accepting, NULL, accept_thread, &server) != 0) {
        perror("own_server");
        return EXIT_FAILURE;
    }
    printf("listening on http://127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);

    sigwait(&ending, &signal_number);
    printf("ending\n");
    shutdown(server.socket, SHUT_RDWR);
    pthread_join(accepting, NULL);
    close(server.socket);
    /* Every answer ends with the router, and then its connection. */
    must(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error), &error);
    pthread_mutex_lock(&server.lock);
    while (server.connections > 0) {
        pthread_cond_wait(&server.changed, &server.lock);
    }
    pthread_mutex_unlock(&server.lock);
    cortensor_http_handler_free(server.handler);
    cortensor_router_free(router);
    return EXIT_SUCCESS;
}
