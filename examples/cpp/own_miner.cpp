// A miner with a worker thread of its own: the lambda only passes jobs on, the worker answers them.
#include <cortensor_router.hpp>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <mutex>
#include <thread>

namespace {

/// Jobs on their way to the worker.
class Queue {
public:
    void push(cortensor::Job job) {
        std::lock_guard<std::mutex> held(lock_);
        jobs_.push_back(std::move(job));
        changed_.notify_one();
    }
    void close() {
        std::lock_guard<std::mutex> held(lock_);
        closed_ = true;
        changed_.notify_one();
    }
    /// None once it is closed and empty.
    std::optional<cortensor::Job> pop() {
        std::unique_lock<std::mutex> held(lock_);
        changed_.wait(held, [this] { return closed_ || !jobs_.empty(); });
        if (jobs_.empty()) {
            return std::nullopt;
        }
        cortensor::Job job = std::move(jobs_.front());
        jobs_.pop_front();
        return job;
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::deque<cortensor::Job> jobs_;
    bool closed_ = false;
};

/// The model: says the words of the prompt in reverse order.
void answer(const cortensor::Job &job) {
    std::string prompt = job.prompt();
    std::string_view rest = prompt;
    while (!rest.empty()) {
        std::size_t space = rest.rfind(' ');
        std::string piece(space == std::string_view::npos ? rest : rest.substr(space + 1));
        rest = space == std::string_view::npos ? std::string_view() : rest.substr(0, space);
        if (!rest.empty()) {
            piece += ' ';
        }
        switch (job.emit(piece)) {
        case cortensor::Emit::ok:
            break;
        case cortensor::Emit::full:
            job.wait_writable();
            break;
        case cortensor::Emit::cancelled:
            return; // the caller has gone: stop working
        }
    }
    job.finish(R"({"finish_reason": "stop"})");
}

} // namespace

int main() {
    try {
        Queue queue;
        auto router = cortensor::Router::open();
        // It only passes the job on, so it may run on the thread that dispatches.
        router.add_miner(
            R"({"name": "reverse", "capacity": 4})", [&queue](cortensor::Job job) { queue.push(std::move(job)); }, cortensor::Quick::yes);
        std::thread worker([&queue] {
            while (auto job = queue.pop()) {
                answer(*job);
            }
        });

        auto task = router.submit(cortensor::Prompt{"one two three"});
        for (std::string_view token : task.stream()) {
            std::cout << token;
        }
        std::cout << '\n';

        router.shutdown();
        queue.close();
        worker.join();
        return EXIT_SUCCESS;
    } catch (const cortensor::Error &error) {
        std::cerr << error.code() << ": " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
