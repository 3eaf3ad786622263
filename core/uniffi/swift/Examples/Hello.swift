import CortensorRouter

/// A router with one miner of its own: submit a prompt, print the answer.
@main
enum Hello {
    static func main() async throws {
        try await Router.with { router in
            try router.miner("shout", ["capacity": 4]) { job in try job.finish(job.prompt.uppercased()) }
            print(try await router.complete("hello").text)
        }
    }
}
