// A graceful end on SIGINT: running tasks may end, new ones are refused, and then the router is closed.
#include <cortensor_router.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

namespace {

/// Works for half a second, unless it is told to stop.
void work(const cortensor::Job &job) {
    for (int i = 0; i < 50; i++) {
        if (job.emit(".") == cortensor::Emit::cancelled) {
            return;
        }
        try {
            job.wait_cancelled(std::chrono::milliseconds(10));
            return;
        } catch (const cortensor::Error &error) {
            if (error.status() != CORTENSOR_STATUS_TIMEOUT) {
                throw;
            }
        }
    }
    job.finish();
}

} // namespace

int main() {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, nullptr);
    try {
        auto router = cortensor::Router::open();
        router.add_miner(R"({"name": "work"})", work);
        auto task = router.submit(cortensor::Prompt{"work"});
        std::cout << "working; press Ctrl-C" << std::endl;
        int signal = 0;
        sigwait(&ending, &signal);

        // Running tasks get ten seconds; the shutdown cancels the others.
        router.drain(std::chrono::seconds(10));
        std::cout << "drained\nthe task ended: " << task.text(std::chrono::milliseconds(0)) << std::endl;
        router.shutdown();
        return EXIT_SUCCESS;
    } catch (const cortensor::Error &error) {
        std::cerr << error.code() << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
