// Reads a task's tokens in both ways: pulled one by one, and pushed to a lambda.
#include <cortensor_router.hpp>
#include <cstdlib>
#include <future>
#include <iostream>

int main() {
    try {
        auto router = cortensor::Router::open();
        router.add_miner(R"({"name": "count"})", [](const cortensor::Job &job) {
            for (int i = 1; i <= 5; i++) {
                if (job.emit(std::to_string(i) + " ") == cortensor::Emit::cancelled) {
                    return; // no client reads any more
                }
            }
            job.finish();
        });

        auto pulled = router.submit(cortensor::Prompt{"count", R"({"stream": true})"});
        for (std::string_view token : pulled.stream()) {
            std::cout << "pulled " << token << '\n';
        }

        auto pushed = router.submit(cortensor::Prompt{"count", R"({"stream": true})"});
        auto stream = pushed.stream();
        std::promise<void> over;
        auto subscription = stream.subscribe([&over](const cortensor::Event &event) {
            if (event.is_token()) {
                std::cout << "pushed " << event.text() << '\n';
            } else if (event.is_end()) {
                over.set_value();
            }
        });
        over.get_future().wait();
        subscription.close(); // the lambda runs no more: what it refers to may go
        router.shutdown();
        return EXIT_SUCCESS;
    } catch (const cortensor::Error &error) {
        std::cerr << error.code() << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
