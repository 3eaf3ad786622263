import CortensorRouter
import Foundation

/// The REST API without a socket, as a server of the program's own calls it for each of its requests.
@main
enum OwnServer {
    static func main() async throws {
        try await Router.with { router in
            try router.miner("words", ["models": ["tiny"]]) { job in
                for word in job.prompt.split(separator: " ") { try await job.emit("\(word) ") }
            }
            let api = try await router.http()
            let answer = try await api.handle(
                method: "POST",
                target: "/v1/completions",
                headers: [
                    ("host", "localhost"), ("authorization", "Bearer default-dev-token"),
                    ("content-type", "application/json"),
                ],
                body: Data(#"{"model": "tiny", "prompt": "every word comes", "stream": true}"#.utf8),
                peer: "127.0.0.1"
            )
            print(answer.status)
            for try await piece in answer.body { print(String(decoding: piece, as: UTF8.self), terminator: "") }
        }
    }
}
