// cortensor-router for C++17: handles that free themselves, lambdas as miners, `for (auto token : stream)`.
// Header-only, over cortensor_router.h. docs/c-api.md describes the conventions. Apache-2.0 OR MIT.
//
// A call that fails throws cortensor::Error. If exceptions are off (-fno-exceptions), or CORTENSOR_NO_EXCEPTIONS is
// defined, calls return a cortensor::Expected<T> instead of T. No exception ever crosses into the library.
#ifndef CORTENSOR_ROUTER_HPP
#define CORTENSOR_ROUTER_HPP

#include "cortensor_router.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if !defined(CORTENSOR_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define CORTENSOR_NO_EXCEPTIONS
#endif

namespace cortensor {
// The name differs by the use of exceptions, so that files compiled in both ways can be linked into one program.
#ifdef CORTENSOR_NO_EXCEPTIONS
inline namespace checked {
#else
inline namespace throwing {
#endif

/// The timeout that means no limit.
inline constexpr std::chrono::milliseconds forever{-1};

/// The error of a call. A copy is cheap.
class Error : public std::exception {
public:
    /// Takes over the error.
    explicit Error(cortensor_error *error) : error_(error, cortensor_error_free) {}
    /// Copies an error without taking it over.
    static Error copy(const cortensor_error *error) { return Error(cortensor_error_clone(error)); }

    cortensor_status status() const noexcept { return cortensor_error_status(error_.get()); }
    /// The code of the error, which is finer than the status, for example `session_not_found`.
    const char *code() const noexcept { return text(cortensor_error_code(error_.get())); }
    /// The problem and how to mend it, as one English sentence.
    const char *what() const noexcept override { return text(cortensor_error_message(error_.get())); }
    /// The whole error as JSON.
    const char *details() const noexcept { return text(cortensor_error_details(error_.get())); }

private:
    static const char *text(const char *given) noexcept { return given == nullptr ? "" : given; }

    std::shared_ptr<const cortensor_error> error_;
};

/// A value or an error.
template <class T> class [[nodiscard]] Expected {
public:
    Expected(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Expected(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const noexcept { return held_.index() == 0; }
    /// The value. It must not be called if there is an error.
    T &operator*() & noexcept { return *std::get_if<0>(&held_); }
    T &&operator*() && noexcept { return std::move(*std::get_if<0>(&held_)); }
    T *operator->() noexcept { return std::get_if<0>(&held_); }
    /// The error. It must not be called if there is a value.
    const Error &error() const noexcept { return *std::get_if<1>(&held_); }

private:
    std::variant<T, Error> held_;
};

template <> class [[nodiscard]] Expected<void> {
public:
    Expected() = default;
    Expected(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return !error_; }
    const Error &error() const noexcept { return *error_; }

private:
    std::optional<Error> error_;
};

#ifdef CORTENSOR_NO_EXCEPTIONS
/// The result of a call that may fail.
template <class T> using Result = Expected<T>;
#else
/// The result of a call that may fail.
template <class T> using Result = T;
#endif

namespace detail {

template <class T> Result<T> fail(Error error) {
#ifdef CORTENSOR_NO_EXCEPTIONS
    return error;
#else
    throw error;
#endif
}

template <class Handle, void (*free)(Handle *)> struct Free {
    void operator()(Handle *handle) const noexcept { free(handle); }
};
template <class Handle, void (*free)(Handle *)> using Owned = std::unique_ptr<Handle, Free<Handle, free>>;
using Bytes = Owned<cortensor_bytes, cortensor_bytes_free>;

/// Runs a call without a result.
template <class Call> Result<void> done(Call &&call) {
    cortensor_error *error = nullptr;
    if (call(&error) != CORTENSOR_STATUS_OK) {
        return fail<void>(Error(error));
    }
    return Result<void>();
}

/// Runs a call that gives a handle, and makes a `T` of the handle.
template <class T, class Handle, class Call> Result<T> give(Call &&call) {
    Handle *handle = nullptr;
    cortensor_error *error = nullptr;
    if (call(&handle, &error) != CORTENSOR_STATUS_OK) {
        return fail<T>(Error(error));
    }
    return T(handle);
}

/// Runs a call that gives a text.
template <class Call> Result<std::string> text(Call &&call) {
    cortensor_bytes *bytes = nullptr;
    cortensor_error *error = nullptr;
    if (call(&bytes, &error) != CORTENSOR_STATUS_OK) {
        return fail<std::string>(Error(error));
    }
    Bytes owned(bytes);
    return std::string(cortensor_bytes_data(bytes), cortensor_bytes_len(bytes));
}

/// Releases a function that the library kept.
template <class Function> void drop(void *user) { delete static_cast<Function *>(user); }

struct JobMaker;

inline std::int64_t milliseconds(std::chrono::milliseconds timeout) noexcept { return static_cast<std::int64_t>(timeout.count()); }

} // namespace detail

/// The router's answer to a piece.
enum class Emit {
    ok,       ///< Go on.
    full,     ///< The router has it, but the reader is slow: `wait_writable` before the next.
    cancelled ///< The job was cancelled: stop working.
};

/// One attempt of a task at a miner, which answers it exactly once, from any thread. Destroying an unanswered job fails
/// it.
class Job {
public:
    /// Takes over the job.
    explicit Job(cortensor_job *job) : job_(job, cortensor_job_free) {}
    Job(Job &&) noexcept = default;
    Job &operator=(Job &&) noexcept = default;

    /// The job as JSON.
    Result<std::string> info() const {
        return detail::text([&](auto out, auto err) { return cortensor_job_info(raw(), out, err); });
    }
    /// The whole text that the model must read.
    Result<std::string> prompt() const {
        return detail::text([&](auto out, auto err) { return cortensor_job_prompt(raw(), out, err); });
    }
    /// Gives the next piece of the answer, as UTF-8.
    Result<Emit> emit(std::string_view piece) const {
        return emitted([&](auto full, auto err) { return cortensor_job_emit(raw(), piece.data(), piece.size(), full, err); });
    }
    /// Gives the next piece with its other parts: JSON, as for `cortensor_job_emit_parts`.
    Result<Emit> emit_parts(std::string_view parts) const {
        return emitted([&](auto full, auto err) { return cortensor_job_emit_parts(raw(), parts.data(), parts.size(), full, err); });
    }
    /// Ends the job with success. `answer` is empty or JSON, as for `cortensor_job_finish`. A job without any content
    /// fails.
    Result<void> finish(std::string_view answer = {}) const {
        return detail::done([&](auto err) { return cortensor_job_finish(raw(), answer.data(), answer.size(), err); });
    }
    /// Ends the job with a failure. `code` is one of the codes of `cortensor_job_fail`.
    Result<void> fail(std::string_view code, std::string_view message) const {
        return detail::done([&](auto err) {
            return cortensor_job_fail(raw(), code.data(), code.size(), message.data(), message.size(), err);
        });
    }
    /// Gives the job back. The miner is not blamed, and another one is tried.
    Result<void> reject(std::string_view reason) const {
        return detail::done([&](auto err) { return cortensor_job_reject(raw(), reason.data(), reason.size(), err); });
    }
    /// Whether the job was cancelled or answered.
    bool is_cancelled() const noexcept { return cortensor_job_is_cancelled(raw()); }
    bool is_answered() const noexcept { return cortensor_job_is_answered(raw()); }
    Result<void> wait_writable(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_job_wait_writable(raw(), detail::milliseconds(timeout), err); });
    }
    Result<void> wait_cancelled(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_job_wait_cancelled(raw(), detail::milliseconds(timeout), err); });
    }
    /// The handle, still owned by this.
    const cortensor_job *raw() const noexcept { return job_.get(); }

private:
    friend struct detail::JobMaker;
    explicit Job(std::shared_ptr<cortensor_job> job) noexcept : job_(std::move(job)) {}

    template <class Call> static Result<Emit> emitted(Call &&call) {
        cortensor_error *error = nullptr;
        bool full = false;
        cortensor_status status = call(&full, &error);
        if (status == CORTENSOR_STATUS_CANCELLED) {
            cortensor_error_free(error);
            return Emit::cancelled;
        }
        if (status != CORTENSOR_STATUS_OK) {
            return detail::fail<Emit>(Error(error));
        }
        return full ? Emit::full : Emit::ok;
    }

    /// Shared with the call of the miner's function, which fails the job if the function throws.
    std::shared_ptr<cortensor_job> job_;
};

namespace detail {

/// Passes a job to a miner's function. An exception of the function fails the job.
struct JobMaker {
    template <class Function> static void call(Function &work, cortensor_job *job) {
        std::shared_ptr<cortensor_job> held(job, cortensor_job_free);
#ifdef CORTENSOR_NO_EXCEPTIONS
        work(Job(std::move(held)));
#else
        try {
            work(Job(held));
        } catch (const std::exception &error) {
            fail(held.get(), error.what());
        } catch (...) {
            fail(held.get(), "the miner threw something that is no std::exception");
        }
#endif
    }

    static void fail(cortensor_job *job, std::string_view message) noexcept {
        constexpr std::string_view code = "internal";
        // A job that was answered before the function threw stays answered.
        cortensor_job_fail(job, code.data(), code.size(), message.data(), message.size(), nullptr);
    }
};

} // namespace detail

/// One event of a stream. Its data is valid until the next event.
class Event {
public:
    explicit Event(const cortensor_event &event) noexcept : event_(event) {}

    cortensor_event_kind kind() const noexcept { return event_.kind; }
    bool is_token() const noexcept { return event_.kind == CORTENSOR_EVENT_KIND_TOKEN; }
    /// Whether this is a restart mark: all pieces before it are void. `seq()` is the number of this mark.
    bool is_restart() const noexcept { return event_.kind == CORTENSOR_EVENT_KIND_RESTART; }
    bool is_end() const noexcept { return event_.kind == CORTENSOR_EVENT_KIND_END; }
    std::uint64_t seq() const noexcept { return event_.seq; }
    /// The token, or at the end the completion as JSON.
    std::string_view text() const noexcept { return std::string_view(event_.data, event_.len); }
    /// The task's error, if this is the end of a failed task.
    std::optional<Error> error() const {
        return event_.error == nullptr ? std::optional<Error>() : std::optional<Error>(Error::copy(event_.error));
    }

private:
    cortensor_event event_;
};

/// A handle of a subscription. Events continue after its destruction.
class Subscription {
public:
    explicit Subscription(cortensor_subscription *subscription) noexcept : subscription_(subscription) {}

    /// Ends the subscription: no further event is pushed. Waits for the running call.
    Result<void> close(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) {
            return cortensor_subscription_close(subscription_.get(), detail::milliseconds(timeout), err);
        });
    }

private:
    detail::Owned<cortensor_subscription, cortensor_subscription_free> subscription_;
};

/// The tokens of a task, as they come. Only one thread may read a stream at a time.
class Stream {
public:
    explicit Stream(cortensor_stream *stream) noexcept : stream_(stream) {}

    /// Waits for the next event; none if the end was given already. A wait that takes too long gives an error with the
    /// code `wait_timeout`.
    Result<std::optional<Event>> next(std::chrono::milliseconds timeout = forever) {
        cortensor_event event{};
        event.struct_size = sizeof event;
        cortensor_error *raw = nullptr;
        cortensor_status status = cortensor_stream_next(stream_.get(), detail::milliseconds(timeout), &event, &raw);
        if (status == CORTENSOR_STATUS_OK) {
            return std::optional<Event>(Event(event));
        }
        Error error(raw);
        if (status == CORTENSOR_STATUS_CLOSED && std::string_view(error.code()) == "stream_over") {
            return std::optional<Event>();
        }
        return detail::fail<std::optional<Event>>(std::move(error));
    }

    /// Gives every further event to `on_event`, a function of `const Event &`, on threads of the router. Exceptions of
    /// the function are ignored.
    template <class Function> Result<Subscription> subscribe(Function on_event) {
        cortensor_stream_callbacks callbacks{};
        callbacks.struct_size = sizeof callbacks;
        callbacks.user = new Function(std::move(on_event));
        callbacks.on_event = [](void *user, const cortensor_event *event) noexcept {
#ifdef CORTENSOR_NO_EXCEPTIONS
            (*static_cast<Function *>(user))(Event(*event));
#else
            try {
                (*static_cast<Function *>(user))(Event(*event));
            } catch (...) {
            }
#endif
        };
        callbacks.drop = detail::drop<Function>;
        return detail::give<Subscription, cortensor_subscription>(
            [&](auto out, auto err) { return cortensor_stream_subscribe(stream_.get(), &callbacks, out, err); });
    }

    /// Iterates over the tokens: `for (std::string_view token : stream)`. A view is valid until the next token.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using pointer = const std::string_view *;
        using reference = const std::string_view &;

        Iterator() = default;
        explicit Iterator(Stream *stream) : stream_(stream) { ++*this; }
        reference operator*() const noexcept { return token_; }
        pointer operator->() const noexcept { return &token_; }
        Iterator &operator++() {
            if (!stream_->advance(token_)) {
                stream_ = nullptr;
            }
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator &a, const Iterator &b) noexcept { return a.stream_ == b.stream_; }
        friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return a.stream_ != b.stream_; }

    private:
        Stream *stream_ = nullptr;
        std::string_view token_;
    };

    /// Throws if the task fails. Without exceptions, the loop ends and `error()` has the reason.
    Iterator begin() { return Iterator(this); }
    Iterator end() noexcept { return Iterator(); }

    /// The error of a failed task, after the loop.
    const std::optional<Error> &error() const noexcept { return error_; }
    /// The completion as JSON, after the loop.
    const std::string &completion() const noexcept { return completion_; }
    /// The number of restarts by another miner. Tokens before a restart are void.
    unsigned restarts() const noexcept { return restarts_; }

private:
    bool advance(std::string_view &token) {
        for (;;) {
            cortensor_event event{};
            event.struct_size = sizeof event;
            cortensor_error *raw = nullptr;
            if (cortensor_stream_next(stream_.get(), CORTENSOR_FOREVER, &event, &raw) != CORTENSOR_STATUS_OK) {
                Error error(raw);
                if (std::string_view(error.code()) == "stream_over") {
                    return false;
                }
                return stop(std::move(error));
            }
            switch (event.kind) {
            case CORTENSOR_EVENT_KIND_TOKEN:
                token = std::string_view(event.data, event.len);
                return true;
            case CORTENSOR_EVENT_KIND_RESTART:
                restarts_++;
                break;
            case CORTENSOR_EVENT_KIND_END:
                if (event.error != nullptr) {
                    return stop(Error::copy(event.error));
                }
                completion_.assign(event.data, event.len);
                return false;
            }
        }
    }

    bool stop(Error error) {
        error_ = error;
#ifndef CORTENSOR_NO_EXCEPTIONS
        throw error;
#else
        return false;
#endif
    }

    detail::Owned<cortensor_stream, cortensor_stream_free> stream_;
    std::optional<Error> error_;
    std::string completion_;
    unsigned restarts_ = 0;
};

/// A prompt with options. The options are JSON, for example `{"max_tokens": 64}`, or empty; unknown names are refused.
struct Prompt {
    std::string_view text;
    std::string_view options = {};
};

/// Converts a text to a JSON string with quotes.
inline Result<std::string> json_escape(std::string_view text) {
    return detail::text([&](auto out, auto err) { return cortensor_json_escape(text.data(), text.size(), out, err); });
}

/// The vectors of texts, in the order of the texts.
class Embeddings {
public:
    explicit Embeddings(cortensor_embeddings *embeddings) noexcept : embeddings_(embeddings) {}

    std::size_t size() const noexcept { return cortensor_embeddings_count(embeddings_.get()); }
    /// The vector at `index`, counted from 0.
    Result<std::vector<double>> vector(std::size_t index = 0) const {
        cortensor_error *error = nullptr;
        const double *numbers = nullptr;
        std::size_t len = 0;
        if (cortensor_embeddings_vector(embeddings_.get(), index, &numbers, &len, &error) != CORTENSOR_STATUS_OK) {
            return detail::fail<std::vector<double>>(Error(error));
        }
        return std::vector<double>(numbers, numbers + len);
    }
    /// The whole answer as JSON.
    Result<std::string> record() const {
        return detail::text([&](auto out, auto err) { return cortensor_embeddings_record(embeddings_.get(), out, err); });
    }

private:
    detail::Owned<cortensor_embeddings, cortensor_embeddings_free> embeddings_;
};

/// A submitted task. Destroying the last handle of a task cancels the task, unless it has ended or is detached. Streams
/// count as handles, too.
class Task {
public:
    explicit Task(cortensor_task *task) noexcept : task_(task) {}

    std::uint64_t session_id() const noexcept { return cortensor_task_session_id(raw()); }
    std::uint64_t id() const noexcept { return cortensor_task_id(raw()); }
    std::uint64_t gid() const noexcept { return cortensor_task_gid(raw()); }
    /// Whether the idempotency key led to a task that existed already.
    bool joined() const noexcept { return cortensor_task_joined(raw()); }
    /// The present record of the task, as JSON.
    Result<std::string> record() const {
        return detail::text([&](auto out, auto err) { return cortensor_task_record(raw(), out, err); });
    }
    /// Waits for the end of the task and returns the completion as JSON.
    Result<std::string> result(std::chrono::milliseconds timeout = forever) const {
        return detail::text([&](auto out, auto err) { return cortensor_task_result(raw(), detail::milliseconds(timeout), out, err); });
    }
    /// Waits for the end of the task and returns only the text of the answer.
    Result<std::string> text(std::chrono::milliseconds timeout = forever) const {
        return detail::text([&](auto out, auto err) { return cortensor_task_text(raw(), detail::milliseconds(timeout), out, err); });
    }
    /// A stream of the task's tokens after the one with number `seq`; 0: from the first on.
    Result<Stream> stream(std::uint64_t seq = 0) const {
        return detail::give<Stream, cortensor_stream>([&](auto out, auto err) { return cortensor_task_stream(raw(), seq, out, err); });
    }
    Result<void> cancel() const {
        return detail::done([&](auto err) { return cortensor_task_cancel(raw(), err); });
    }
    /// Detaches the task: from now on, it continues even if all of its handles are destroyed.
    Result<void> detach() const {
        return detail::done([&](auto err) { return cortensor_task_detach(raw(), err); });
    }
    /// The handle, still owned by this.
    const cortensor_task *raw() const noexcept { return task_.get(); }

private:
    detail::Owned<cortensor_task, cortensor_task_free> task_;
};

/// A handle of a miner that was added. The miner continues after the handle's destruction.
class Miner {
public:
    explicit Miner(cortensor_miner *miner) noexcept : miner_(miner) {}

    /// Drains the miner: it gets no new jobs and finishes its present ones.
    Result<void> drain() const {
        return detail::done([&](auto err) { return cortensor_miner_drain(miner_.get(), err); });
    }
    Result<void> set_capacity(std::uint32_t jobs) const {
        return detail::done([&](auto err) { return cortensor_miner_set_capacity(miner_.get(), jobs, err); });
    }
    /// Removes the miner and waits for the running calls.
    Result<void> remove(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_miner_remove(miner_.get(), detail::milliseconds(timeout), err); });
    }

private:
    detail::Owned<cortensor_miner, cortensor_miner_free> miner_;
};

/// A handle of a running listener. The listener continues after the handle's destruction, until its router ends.
class Listener {
public:
    explicit Listener(cortensor_listener *listener) noexcept : listener_(listener) {}

    /// The address of the listener, for example `127.0.0.1:5010`.
    Result<std::string> address() const {
        return detail::text([&](auto out, auto err) { return cortensor_listener_address(listener_.get(), out, err); });
    }
    /// The open surfaces and how each one is protected, one line each.
    Result<std::string> posture() const {
        return detail::text([&](auto out, auto err) { return cortensor_listener_posture(listener_.get(), out, err); });
    }
    Result<void> stop(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_listener_stop(listener_.get(), detail::milliseconds(timeout), err); });
    }
    /// Waits until the listener has ended for any reason.
    Result<void> wait(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_listener_wait(listener_.get(), detail::milliseconds(timeout), err); });
    }

private:
    detail::Owned<cortensor_listener, cortensor_listener_free> listener_;
};

/// A response to an HTTP request. Only one thread may read it at a time. Destroying it before its end tells the router
/// that the client has gone.
class HttpResponse {
public:
    explicit HttpResponse(cortensor_http_response *response) noexcept : response_(response) {}

    /// Waits for the head and returns the status, for example 200.
    Result<std::uint16_t> status(std::chrono::milliseconds timeout = forever) const {
        cortensor_error *error = nullptr;
        std::uint16_t status = 0;
        if (cortensor_http_response_head(response_.get(), detail::milliseconds(timeout), &status, nullptr, &error) != CORTENSOR_STATUS_OK) {
            return detail::fail<std::uint16_t>(Error(error));
        }
        return status;
    }
    /// Waits for the head and returns the header lines as on the wire, each with its line end.
    Result<std::string> headers(std::chrono::milliseconds timeout = forever) const {
        return detail::text([&](auto out, auto err) {
            return cortensor_http_response_head(response_.get(), detail::milliseconds(timeout), nullptr, out, err);
        });
    }
    /// Waits for the next piece of the body; none after the last. A wait that takes too long gives an error with the code
    /// `wait_timeout`.
    Result<std::optional<std::string>> next(std::chrono::milliseconds timeout = forever) const {
        cortensor_bytes *bytes = nullptr;
        cortensor_error *raw = nullptr;
        cortensor_status status = cortensor_http_response_next(response_.get(), detail::milliseconds(timeout), &bytes, &raw);
        if (status == CORTENSOR_STATUS_OK) {
            detail::Bytes owned(bytes);
            return std::optional<std::string>(std::in_place, cortensor_bytes_data(bytes), cortensor_bytes_len(bytes));
        }
        Error error(raw);
        if (status == CORTENSOR_STATUS_CLOSED && std::string_view(error.code()) == "body_over") {
            return std::optional<std::string>();
        }
        return detail::fail<std::optional<std::string>>(std::move(error));
    }

private:
    detail::Owned<cortensor_http_response, cortensor_http_response_free> response_;
};

/// Answers HTTP requests of the program's own server.
class HttpHandler {
public:
    explicit HttpHandler(cortensor_http_handler *handler) noexcept : handler_(handler) {}

    /// The maximum size of a request's body, in bytes. A larger body is answered with 413.
    std::uint64_t max_body_bytes() const noexcept { return cortensor_http_handler_max_body_bytes(handler_.get()); }
    /// Starts to answer a request and does not wait. `head` is as on the wire, with the empty line at its end; `peer` is
    /// the sender's address, empty if it is unknown.
    Result<HttpResponse> handle(std::string_view head, std::string_view body = {}, std::string_view peer = {}) const {
        return detail::give<HttpResponse, cortensor_http_response>([&](auto out, auto err) {
            return cortensor_http_handler_handle(handler_.get(), head.data(), head.size(), body.data(), body.size(), peer.data(), peer.size(), out, err);
        });
    }

private:
    detail::Owned<cortensor_http_handler, cortensor_http_handler_free> handler_;
};

/// A session of a router. It keeps the router alive.
class Session {
public:
    std::uint64_t id() const noexcept { return id_; }
    /// The record of the session, as JSON.
    Result<std::string> record() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_session(router_.get(), id_, out, err); });
    }
    /// Changes the fields that `patch`, JSON, names. Returns the record.
    Result<std::string> update(std::string_view patch) const {
        return detail::text([&](auto out, auto err) {
            return cortensor_router_update_session(router_.get(), id_, patch.data(), patch.size(), out, err);
        });
    }
    /// Closes the session and returns the record.
    Result<std::string> close() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_close_session(router_.get(), id_, out, err); });
    }
    /// Submits a task. The request is JSON, as for `cortensor_router_submit`.
    Result<Task> submit(std::string_view request) const {
        return detail::give<Task, cortensor_task>([&](auto out, auto err) {
            return cortensor_router_submit(router_.get(), id_, request.data(), request.size(), out, err);
        });
    }
    /// Submits a prompt: `submit(Prompt{"hi"})`.
    Result<Task> submit(const Prompt &prompt) const {
        return detail::give<Task, cortensor_task>([&](auto out, auto err) {
            return cortensor_router_submit_prompt(
                router_.get(), id_, prompt.text.data(), prompt.text.size(), prompt.options.data(), prompt.options.size(), out, err);
        });
    }
    /// The vector of a text, or of several texts if it is empty and `options` has them as `input`.
    Result<Embeddings> embed(std::string_view input, std::string_view options = {}) const {
        return detail::give<Embeddings, cortensor_embeddings>([&](auto out, auto err) {
            return cortensor_router_embed(router_.get(), id_, input.data(), input.size(), options.data(), options.size(), out, err);
        });
    }
    /// Submits a task, waits for its end and returns the completion as JSON.
    Result<std::string> complete(std::string_view request) const {
        return detail::text([&](auto out, auto err) {
            return cortensor_router_complete(router_.get(), id_, request.data(), request.size(), out, err);
        });
    }
    /// Joins a task of the session.
    Result<Task> attach(std::uint64_t task_id) const {
        return detail::give<Task, cortensor_task>([&](auto out, auto err) { return cortensor_router_attach(router_.get(), id_, task_id, out, err); });
    }
    /// The record of a task, as JSON.
    Result<std::string> task(std::uint64_t task_id) const {
        return detail::text([&](auto out, auto err) { return cortensor_router_task(router_.get(), id_, task_id, out, err); });
    }
    /// A page of the session's tasks, as JSON.
    Result<std::string> tasks(std::string_view query = {}) const {
        return detail::text([&](auto out, auto err) {
            return cortensor_router_tasks(router_.get(), id_, query.data(), query.size(), out, err);
        });
    }
    /// Cancels a task of the session and returns the record.
    Result<std::string> cancel(std::uint64_t task_id) const {
        return detail::text([&](auto out, auto err) { return cortensor_router_cancel(router_.get(), id_, task_id, out, err); });
    }

private:
    friend class Router;
    Session(std::shared_ptr<cortensor_router> router, std::uint64_t id) noexcept : router_(std::move(router)), id_(id) {}

    std::shared_ptr<cortensor_router> router_;
    std::uint64_t id_;
};

/// Whether a miner's function only passes jobs on. If so, it runs directly on the thread that dispatches.
enum class Quick : bool { no, yes };

/// Takes a record of the log. The texts are valid during the call.
using Log = std::function<void(std::uint64_t time_ms, const char *level, const char *target, const char *message)>;

namespace detail {

/// A callback table that owns the function. The library drops the function.
template <class Function> cortensor_miner_callbacks miner_callbacks(Function work, Quick quick) {
    static_assert(std::is_invocable_v<Function &, Job>, "a miner is a function of cortensor::Job");
    cortensor_miner_callbacks callbacks{};
    callbacks.struct_size = sizeof callbacks;
    callbacks.user = new Function(std::move(work));
    callbacks.flags = quick == Quick::yes ? CORTENSOR_MINER_QUICK : 0;
    callbacks.on_job = [](void *user, cortensor_job *job) noexcept { JobMaker::call(*static_cast<Function *>(user), job); };
    callbacks.drop = drop<Function>;
    return callbacks;
}

/// A callback table for the log. Without a function the table is empty.
inline cortensor_log_callbacks log_callbacks(Log &log) {
    cortensor_log_callbacks callbacks{};
    if (!log) {
        return callbacks;
    }
    callbacks.struct_size = sizeof callbacks;
    callbacks.user = new Log(std::move(log));
    callbacks.on_record = [](void *user, std::uint64_t time_ms, const char *level, const char *target, const char *message) noexcept {
#ifdef CORTENSOR_NO_EXCEPTIONS
        (*static_cast<Log *>(user))(time_ms, level, target, message);
#else
        try {
            (*static_cast<Log *>(user))(time_ms, level, target, message);
        } catch (...) {
        }
#endif
    };
    callbacks.drop = drop<Log>;
    return callbacks;
}

} // namespace detail

/// A router. Destroying it shuts it down and waits until no function of the host runs any more.
class Router {
public:
    /// Opens a router. `config` is JSON or empty.
    static Result<Router> open(std::string_view config = {}, Log log = {}) {
        cortensor_log_callbacks callbacks = detail::log_callbacks(log);
        return detail::give<Router, cortensor_router>([&](auto out, auto err) {
            return cortensor_router_open(config.data(), config.size(), callbacks.on_record == nullptr ? nullptr : &callbacks, out, err);
        });
    }

    /// Takes over the handle.
    explicit Router(cortensor_router *router) : router_(router, cortensor_router_free) {}
    Router(Router &&) noexcept = default;
    Router &operator=(Router &&other) noexcept {
        if (this != &other) {
            end();
            router_ = std::move(other.router_);
        }
        return *this;
    }
    Router(const Router &) = delete;
    Router &operator=(const Router &) = delete;
    ~Router() { end(); }

    Result<std::string> config() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_config(raw(), out, err); });
    }
    Result<std::string> info() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_info(raw(), out, err); });
    }
    Result<std::string> status() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_status(raw(), out, err); });
    }
    /// All metrics in Prometheus' text format.
    Result<std::string> metrics() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_metrics(raw(), out, err); });
    }
    Result<std::string> miners() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_miners(raw(), out, err); });
    }
    Result<std::string> models() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_models(raw(), out, err); });
    }
    /// A page of sessions, as JSON.
    Result<std::string> sessions(std::string_view query = {}) const {
        return detail::text([&](auto out, auto err) { return cortensor_router_sessions(raw(), query.data(), query.size(), out, err); });
    }

    /// The usage, as the answer of `GET /api/v1/usage`.
    Result<std::string> usage(std::string_view query = {}) const {
        return detail::text([&](auto out, auto err) { return cortensor_router_usage(raw(), query.data(), query.size(), out, err); });
    }
    /// Makes an API key for listeners. Its token, in the JSON, cannot be read again later. The spec is JSON; only `name` is required.
    Result<std::string> create_key(std::string_view spec) const {
        return detail::text([&](auto out, auto err) { return cortensor_router_create_key(raw(), spec.data(), spec.size(), out, err); });
    }
    /// The API keys, as JSON.
    Result<std::string> keys() const {
        return detail::text([&](auto out, auto err) { return cortensor_router_keys(raw(), out, err); });
    }
    /// Revokes an API key by its id.
    Result<void> delete_key(std::string_view id) const {
        return detail::done([&](auto err) { return cortensor_router_delete_key(raw(), id.data(), id.size(), err); });
    }

    /// Opens a session. The spec is JSON, for example `{"name": "chat"}`.
    Result<Session> create_session(std::string_view spec) const {
        cortensor_error *error = nullptr;
        std::uint64_t id = 0;
        if (cortensor_router_create_session(raw(), spec.data(), spec.size(), &id, nullptr, &error) != CORTENSOR_STATUS_OK) {
            return detail::fail<Session>(Error(error));
        }
        return session(id);
    }
    /// A session by its id. Session 0 always exists. The use of an unknown session fails, but not this call.
    Session session(std::uint64_t id = 0) const { return Session(router_, id); }
    /// Submits a task to session 0.
    Result<Task> submit(std::string_view request) const { return session(0).submit(request); }
    /// Submits a prompt to session 0: `submit(Prompt{"hi"})`.
    Result<Task> submit(const Prompt &prompt) const { return session(0).submit(prompt); }
    /// The vector of a text, or of several texts if it is empty and `options` has them as `input`.
    Result<Embeddings> embed(std::string_view input, std::string_view options = {}) const { return session(0).embed(input, options); }
    /// Submits a task to session 0, waits for its end and returns the completion as JSON.
    Result<std::string> complete(std::string_view request) const { return session(0).complete(request); }

    /// Adds a miner. `spec` is JSON. `work` is a function of `Job`, which is called on several threads at once, up to the
    /// miner's capacity. An exception of the function fails the job.
    template <class Function> Result<Miner> add_miner(std::string_view spec, Function work, Quick quick = Quick::no) const {
        cortensor_miner_callbacks callbacks = detail::miner_callbacks(std::move(work), quick);
        return detail::give<Miner, cortensor_miner>([&](auto out, auto err) {
            return cortensor_router_add_miner(raw(), spec.data(), spec.size(), &callbacks, out, err);
        });
    }
    /// Adds an OpenAI-compatible server as a miner. The upstream is JSON: `{"url": "http://127.0.0.1:8080/v1"}`.
    Result<void> add_upstream(std::string_view upstream) const {
        return detail::done([&](auto err) { return cortensor_router_add_upstream(raw(), upstream.data(), upstream.size(), err); });
    }
    Result<void> remove_miner(std::string_view name) const {
        return detail::done([&](auto err) { return cortensor_router_remove_miner(raw(), name.data(), name.size(), err); });
    }

    /// Starts an HTTP listener. The settings are JSON, for example `{"port": 0}`.
    Result<Listener> listen(std::string_view config = {}) const {
        return detail::give<Listener, cortensor_listener>([&](auto out, auto err) {
            return cortensor_router_listen(raw(), config.data(), config.size(), out, err);
        });
    }

    /// The REST API without a socket, for a program that has its own HTTP server. `config` is as for `listen`.
    Result<HttpHandler> http_handler(std::string_view config = {}) const {
        return detail::give<HttpHandler, cortensor_http_handler>([&](auto out, auto err) {
            return cortensor_router_http_handler(raw(), config.data(), config.size(), out, err);
        });
    }

    /// Takes no new tasks and waits until the present ones have ended.
    Result<void> drain(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_router_drain(raw(), detail::milliseconds(timeout), err); });
    }
    /// Ends the router. After the return, no function of the host runs any more.
    Result<void> shutdown(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_router_shutdown(raw(), detail::milliseconds(timeout), err); });
    }
    /// The handle, still owned by this.
    const cortensor_router *raw() const noexcept { return router_.get(); }

private:
    void end() noexcept {
        if (router_ != nullptr) {
            // Inside a callback the library refuses this, and the router is closed in the background.
            cortensor_router_shutdown(router_.get(), CORTENSOR_FOREVER, nullptr);
        }
    }

    std::shared_ptr<cortensor_router> router_;
};

/// A miner of this program that dials in to a remote router. Destroying it closes it and waits until its function runs no
/// more.
class MinerClient {
public:
    /// Starts the miner. `config` is JSON, as for `cortensor_miner_client_start`.
    template <class Function> static Result<MinerClient> start(std::string_view config, Function work, Log log = {}, Quick quick = Quick::no) {
        cortensor_miner_callbacks callbacks = detail::miner_callbacks(std::move(work), quick);
        cortensor_log_callbacks logging = detail::log_callbacks(log);
        return detail::give<MinerClient, cortensor_miner_client>([&](auto out, auto err) {
            return cortensor_miner_client_start(config.data(), config.size(), &callbacks, logging.on_record == nullptr ? nullptr : &logging, out, err);
        });
    }

    explicit MinerClient(cortensor_miner_client *client) noexcept : client_(client) {}
    MinerClient(MinerClient &&) noexcept = default;
    MinerClient &operator=(MinerClient &&other) noexcept {
        if (this != &other) {
            end();
            client_ = std::move(other.client_);
        }
        return *this;
    }
    ~MinerClient() { end(); }

    /// The miner's counts and the state of its connection, as JSON.
    Result<std::string> stats() const {
        return detail::text([&](auto out, auto err) { return cortensor_miner_client_stats(client_.get(), out, err); });
    }
    Result<void> set_capacity(std::uint32_t jobs) const {
        return detail::done([&](auto err) { return cortensor_miner_client_set_capacity(client_.get(), jobs, err); });
    }
    /// Takes no new jobs, finishes the present ones, and closes.
    Result<void> drain(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_miner_client_drain(client_.get(), detail::milliseconds(timeout), err); });
    }
    Result<void> close(std::chrono::milliseconds timeout = forever) const {
        return detail::done([&](auto err) { return cortensor_miner_client_close(client_.get(), detail::milliseconds(timeout), err); });
    }

private:
    void end() noexcept {
        if (client_ != nullptr) {
            cortensor_miner_client_close(client_.get(), CORTENSOR_FOREVER, nullptr);
        }
    }

    detail::Owned<cortensor_miner_client, cortensor_miner_client_free> client_;
};

} // namespace checked or throwing
} // namespace cortensor

#endif
