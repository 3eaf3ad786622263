// A router with one miner of this program's own: submits a task, prints its tokens.
#include <cortensor_router.hpp>
#include <cctype>
#include <cstdlib>
#include <iostream>

int main() {
    try {
        auto router = cortensor::Router::open();
        router.add_miner(R"({"name": "shout", "capacity": 4})", [](cortensor::Job job) {
            std::string text = job.prompt();
            for (char &c : text) {
                c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            }
            job.emit(text);
            job.finish();
        });
        auto task = router.submit(cortensor::Prompt{"say \"hello\""});
        auto stream = task.stream();
        for (std::string_view token : stream) {
            std::cout << token;
        }
        std::cout << '\n' << task.text() << '\n';
        router.shutdown();
        return EXIT_SUCCESS;
    } catch (const cortensor::Error &error) {
        std::cerr << error.code() << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
