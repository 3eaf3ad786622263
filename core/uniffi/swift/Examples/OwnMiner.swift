import CortensorRouter

/// A miner that notices when its work is no longer wanted.
@main
enum OwnMiner {
    /// Stands for a model: counts from one, as far as it is asked to.
    static func count(_ job: Job) async throws {
        let most = try job.request()["max_tokens"].integer ?? 10
        do {
            for number in 1...most {
                try await job.emit("\(number) ")
                try await Task.sleep(nanoseconds: 10_000_000)
            }
        } catch is CancellationError {
            print("(nobody waits any more)")
            throw CancellationError()
        }
    }

    static func main() async throws {
        try await Router.with { router in
            try router.miner("counter", ["models": ["count"], "capacity": 2]) { job in try await count(job) }
            print(try await router.complete("go", ["model": "count", "max_tokens": 5]).text)

            let task = try await router.submit("go", ["model": "count", "max_tokens": 1000])
            for try await token in task.tokens {
                print(token, terminator: "")
                if token == "3 " { break }  // cancels, and the miner sees it
            }
            print()
        }
    }
}
