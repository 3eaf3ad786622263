// A router that serves the REST API and OpenAI's from a C++ program, until it is told to end.
#include <cortensor_router.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

namespace {

/// Emits `tick` until no client reads, but not for ever.
void tick(const cortensor::Job &job) {
    for (int i = 0; i < 100000; i++) {
        switch (job.emit("tick ")) {
        case cortensor::Emit::ok:
            break;
        case cortensor::Emit::full:
            job.wait_writable();
            break;
        case cortensor::Emit::cancelled:
            std::cout << "the client hung up" << std::endl;
            return;
        }
    }
    job.finish();
}

} // namespace

// With an argument: on any port that is free.
int main(int argc, char **) {
    // The signals are blocked before the router starts threads, which inherit this, so that `sigwait` gets them.
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, nullptr);
    try {
        auto router = cortensor::Router::open({}, [](std::uint64_t time_ms, const char *level, const char *target, const char *message) {
            std::cerr << time_ms << ' ' << level << ' ' << target << ": " << message << '\n';
        });
        router.add_miner(R"({"name": "tick", "capacity": 8})", tick);
        auto listener = router.listen(argc > 1 ? R"({"port": 0})" : R"({"port": 5010})");
        std::cout << "listening on http://" << listener.address() << std::endl;

        int signal = 0;
        sigwait(&ending, &signal);
        std::cout << "ending" << std::endl;
        router.shutdown();
        return EXIT_SUCCESS;
    } catch (const cortensor::Error &error) {
        std::cerr << error.code() << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
