// A program that includes the C++ header in two files, one of which is compiled without exceptions.
#include <cortensor_router.hpp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>

int without_exceptions(); // no_exceptions.cpp

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(EXIT_FAILURE);                                                  \
        }                                                                             \
    } while (0)

template <class Call> static cortensor_status status_of(Call &&call) {
    try {
        call();
    } catch (const cortensor::Error &error) {
        cortensor::Error copy = error;
        CHECK(copy.what()[0] != 0 && copy.details()[0] == '{');
        return copy.status();
    }
    return CORTENSOR_STATUS_OK;
}

static void handles_are_moved_and_free_themselves() {
    static_assert(!std::is_copy_constructible_v<cortensor::Router> && std::is_nothrow_move_constructible_v<cortensor::Router>);
    static_assert(!std::is_copy_constructible_v<cortensor::Task> && std::is_nothrow_move_assignable_v<cortensor::Task>);
    static_assert(!std::is_copy_constructible_v<cortensor::Stream> && std::is_nothrow_move_constructible_v<cortensor::Stream>);
    static_assert(!std::is_copy_constructible_v<cortensor::Job> && std::is_nothrow_move_constructible_v<cortensor::Job>);
    int freed = 0;
    struct Counter {
        int *freed;
        explicit Counter(int *count) : freed(count) {}
        Counter(Counter &&other) noexcept : freed(std::exchange(other.freed, nullptr)) {}
        Counter(const Counter &) = delete;
        ~Counter() {
            if (freed != nullptr) {
                ++*freed;
            }
        }
        void operator()(cortensor::Job job) const { job.finish(R"({"text": "counted"})"); }
    };
    {
        auto first = cortensor::Router::open(R"({"echo": false})");
        first.add_miner(R"({"name": "counter"})", Counter(&freed));
        auto router = std::move(first);
        auto session = router.create_session(R"({"name": "s"})");
        CHECK(session.record().find("\"s\"") != std::string::npos && session.id() > 0);
        auto task = session.submit(R"({"prompt": "x"})");
        CHECK(task.result().find("counted") != std::string::npos);
        CHECK(session.tasks().find("\"count\":1") != std::string::npos && task.session_id() == session.id());
        router = cortensor::Router::open(); // shuts the first one down
        CHECK(freed == 1);
        CHECK(status_of([&] { session.record(); }) == CORTENSOR_STATUS_CLOSED);
    }
    CHECK(freed == 1);
}

static void what_a_miner_throws_fails_its_task() {
    auto router = cortensor::Router::open(R"({"dispatch": {"max_attempts": 1}})");
    router.add_miner(R"({"name": "thrower", "capacity": 2})", [](cortensor::Job job) {
        if (job.prompt() == "odd") {
            throw 7;
        }
        throw std::runtime_error("the model fell over");
    });
    for (const char *prompt : {R"({"prompt": "even"})", R"({"prompt": "odd"})"}) {
        auto task = router.submit(prompt);
        CHECK(status_of([&] { task.result(); }) == CORTENSOR_STATUS_MINER_FAILED);
        try {
            for (std::string_view token : task.stream()) {
                std::fprintf(stderr, "%.*s\n", static_cast<int>(token.size()), token.data());
                CHECK(false);
            }
            CHECK(false);
        } catch (const cortensor::Error &error) { // the stream is gone by now, the error is not
            CHECK(error.status() == CORTENSOR_STATUS_MINER_FAILED);
            CHECK(std::string_view(prompt).find("odd") != std::string_view::npos ||
                  std::string_view(error.what()).find("fell over") != std::string_view::npos);
        }
    }
    CHECK(status_of([&] { router.submit("{"); }) == CORTENSOR_STATUS_INVALID_ARGUMENT);
    CHECK(status_of([&] { router.submit("{}"); }) == CORTENSOR_STATUS_INVALID_ARGUMENT);
    CHECK(status_of([&] { cortensor::Router::open("{"); }) == CORTENSOR_STATUS_INVALID_ARGUMENT);
}

static void a_job_is_answered_on_a_thread_of_its_own_and_events_are_pushed() {
    auto router = cortensor::Router::open();
    std::thread worker;
    router.add_miner(
        R"({"name": "later"})",
        [&worker](cortensor::Job job) {
            worker = std::thread([job = std::move(job)] {
                CHECK(job.emit("a") == cortensor::Emit::ok && job.emit("b") == cortensor::Emit::ok);
                job.finish();
                CHECK(status_of([&] { job.finish(); }) == CORTENSOR_STATUS_CLOSED);
            });
        },
        cortensor::Quick::yes);
    auto task = router.submit(R"({"prompt": "x"})");
    std::string text;
    std::uint64_t last = 0;
    bool ended = false;
    auto stream = task.stream();
    auto subscription = stream.subscribe([&](const cortensor::Event &event) {
        if (event.is_token()) {
            text += event.text();
            last = event.seq();
        }
        ended = ended || (event.is_end() && !event.error());
    });
    CHECK(!task.result(std::chrono::seconds(10)).empty());
    router.shutdown();
    worker.join();
    subscription.close();
    CHECK(text == "ab" && last == 2 && ended);
}

static void requests_are_answered_without_a_socket() {
    auto router = cortensor::Router::open(R"({"echo": true})");
    CHECK(router.complete(R"({"prompt": "at once"})").find("at once") != std::string::npos);
    CHECK(status_of([&] { router.complete("{}"); }) == CORTENSOR_STATUS_INVALID_ARGUMENT);
    auto handler = router.http_handler();
    CHECK(handler.max_body_bytes() > 0);
    constexpr std::string_view head = "POST /api/v1/completions HTTP/1.1\r\nauthorization: Bearer default-dev-token\r\n"
                                      "content-type: application/json\r\n\r\n";
    auto response = handler.handle(head, R"({"prompt": "without a socket", "stream": true})", "127.0.0.1");
    CHECK(response.status() == 200 && response.headers().find("content-type: text/event-stream") != std::string::npos);
    std::string body;
    while (auto piece = response.next()) {
        body += *piece;
    }
    CHECK(body.find("socket") != std::string::npos && !response.next());
    CHECK(status_of([&] { handler.handle("GET /"); }) == CORTENSOR_STATUS_INVALID_ARGUMENT);
}

int main() {
    handles_are_moved_and_free_themselves();
    what_a_miner_throws_fails_its_task();
    a_job_is_answered_on_a_thread_of_its_own_and_events_are_pushed();
    requests_are_answered_without_a_socket();
    CHECK(without_exceptions() == 0);
    std::puts("two_units: the C++ handles hold");
}
