import CortensorRouter
import Foundation

/// A program that embeds a router and serves its REST API and OpenAI's until it is ended. Call it as it says.
@main
enum Serve {
    static func main() async throws {
        try await Router.with { router in
            try router.miner("echo", ["models": ["echo"], "capacity": 8]) { job in
                for word in job.prompt.split(separator: " ") { try await job.emit("\(word) ") }
            }
            let port = ProcessInfo.processInfo.environment["PORT"].flatMap(Int64.init) ?? 0
            let listener = try await router.listen(["port": .integer(port)])
            print("curl -H 'Authorization: Bearer default-dev-token' \(listener.url)/api/v1/status")
            try await listener.ended()
        }
    }
}
