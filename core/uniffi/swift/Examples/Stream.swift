import CortensorRouter

/// Tokens as they come.
@main
enum Stream {
    static func main() async throws {
        try await Router.with { router in
            try router.miner("words", ["models": ["tiny"], "capacity": 4]) { job in
                for word in job.prompt.split(separator: " ") {
                    try await job.emit("\(word) ")
                    try await Task.sleep(nanoseconds: 50_000_000)  // stands for a model that thinks
                }
            }
            let session = try await router.createSession("chat", ["model": "tiny"])
            let task = try await session.submit("every word comes on its own")
            for try await token in task.tokens { print(token, terminator: "") }  // leaving the loop cancels
            print()
            print(try await task.result().usage)
        }
    }
}
