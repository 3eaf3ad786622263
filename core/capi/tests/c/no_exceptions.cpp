// A test that is compiled with -fno-exceptions: calls return a value or an error.
#include <cortensor_router.hpp>

#ifndef CORTENSOR_NO_EXCEPTIONS
#error "this file is compiled without exceptions"
#endif

int without_exceptions();

/// The line of the check that failed; 0: all checks have passed.
int without_exceptions() {
    auto router = cortensor::Router::open();
    if (!router) {
        return __LINE__;
    }
    auto miner = router->add_miner(R"({"name": "m"})", [](cortensor::Job job) {
        auto emitted = job.emit("hi");
        if (emitted && *emitted == cortensor::Emit::ok && job.finish()) {
            return;
        }
        (void)job.fail("internal", "not so");
    });
    if (!miner || !miner->set_capacity(2)) {
        return __LINE__;
    }
    auto session = router->create_session(R"({"name": "s"})");
    if (!session) {
        return __LINE__;
    }
    auto task = session->submit(R"({"prompt": "x"})");
    if (!task) {
        return __LINE__;
    }
    auto stream = task->stream();
    std::string text;
    for (std::string_view token : *stream) {
        text += token;
    }
    if (text != "hi" || stream->error() || stream->completion().empty()) {
        return __LINE__;
    }
    auto over = stream->next();
    if (!over || *over) {
        return __LINE__;
    }
    auto refused = router->submit("{}");
    if (refused || refused.error().status() != CORTENSOR_STATUS_INVALID_ARGUMENT) {
        return __LINE__;
    }
    auto made = router->create_key(R"({"name": "ci"})");
    auto keys = router->keys();
    if (!made || made->find("ctr_") == std::string::npos || !keys || keys->find("\"ci\"") == std::string::npos) {
        return __LINE__;
    }
    auto revoked = router->delete_key("none");
    if (revoked || revoked.error().status() != CORTENSOR_STATUS_NOT_FOUND || !router->usage(R"({"by": "key"})")) {
        return __LINE__;
    }
    auto handler = router->http_handler();
    if (!handler) {
        return __LINE__;
    }
    auto response = handler->handle("GET /readyz HTTP/1.1\r\n\r\n");
    if (!response || *response->status() != 200) {
        return __LINE__;
    }
    auto piece = response->next();
    if (!piece || !*piece || (*piece)->empty()) {
        return __LINE__;
    }
    if (!router->shutdown()) {
        return __LINE__;
    }
    auto closed = router->status();
    return !closed && closed.error().status() == CORTENSOR_STATUS_CLOSED ? 0 : __LINE__;
}
