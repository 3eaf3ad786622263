//! An example of each section, for the reference page.

/// An example of the section with that title. Its keys have values that an operator might choose.
pub(super) fn of(title: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(name, _)| *name == title).map(|(_, example)| *example)
}

/// The sections, by their titles in a file, with an example of each.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "",
        "\
name = \"router-berlin\"
external_address = \"https://router.example\"
completion_sessions = [2, 3]
",
    ),
    (
        "[storage]",
        "\
[storage]
data_dir = \"/var/lib/cortensor-router\"
durability = \"relaxed\"
",
    ),
    (
        "[fleet]",
        "\
[fleet]
host = \"10.0.0.7\"
port = 7000
address = \"router-1.example:7000\"
",
    ),
    (
        "[retention]",
        "\
[retention]
max_age_secs = 86400            # ended tasks are kept for a day
max_bytes = 1073741824          # and in at most 1 GiB
",
    ),
    (
        "[limits]",
        "\
[limits]
max_queued_tasks = 512
max_queued_per_session = 64
max_tokens = 8192
default_timeout_secs = 120
",
    ),
    (
        "[dispatch]",
        "\
[dispatch]
max_attempts = 3
progress_timeout_ms = 30000
on_failure = \"continue\"
",
    ),
    (
        "[listen]",
        "\
[listen]
host = \"127.0.0.1\"
port = 8000
hosts = [\"router.internal\"]
drain_timeout_ms = 60000
",
    ),
    (
        "[log]",
        "\
[log]
prompts = true                  # the beginnings of prompts and answers are logged
prompt_bytes = 200
",
    ),
    (
        "[otel]",
        "\
[otel]
endpoint = \"http://127.0.0.1:4318\"
service_name = \"router-berlin\"
sample_ratio = 0.1
",
    ),
    (
        "[runtime]",
        "\
[runtime]
worker_threads = 2
",
    ),
    (
        "[miners]",
        "\
[miners]
port = 5020                     # a port for miners alone
grace_ms = 20000
",
    ),
    (
        "[prices]",
        "\
[prices]
currency = \"EUR\"
",
    ),
    (
        "[agents]",
        "\
[agents]
validators = 5
delegate_sessions_3 = [2, 3, 4]
",
    ),
    (
        "[[model]]",
        "\
[[model]]
name = \"smart\"
targets = [\"large\", { model = \"small\", when = [\"no_miner\", \"overload\"] }]
",
    ),
    (
        "[[upstream]]",
        "\
[[upstream]]
name = \"gpu-1\"
url = \"http://10.0.0.7:8000/v1\"
max_concurrency = 64
continues = true
aliases = { small = \"qwen3-4b\" }
",
    ),
    (
        "[[listen.token]]",
        "\
[[listen.token]]
name = \"app\"
value_env = \"APP_TOKEN\"
scopes = [\"submit\", \"read\"]
models = [\"small\"]
",
    ),
    (
        "[listen.token.quota]",
        "\
[[listen.token]]
name = \"app\"
value_env = \"APP_TOKEN\"
[listen.token.quota]
requests_per_minute = 600
tokens_per_day = 1000000
concurrent_streams = 8
",
    ),
    (
        "[listen.trial]",
        "\
[listen.trial]
enabled = true
session = 2
requests = 5
all_tokens_per_day = 100000
",
    ),
    (
        "[listen.tls]",
        "\
[listen.tls]
cert = \"/etc/cortensor/server.pem\"
key = \"/etc/cortensor/server.key\"
",
    ),
    (
        "[listen.cors]",
        "\
[listen.cors]
origins = [\"https://app.example\"]
",
    ),
    (
        "[webhooks]",
        "\
[webhooks]
secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"   # better in a variable: secret_env
networks = [\"10.1.0.0/16\"]
max_tries = 8
",
    ),
    (
        "[[prices.model]]",
        "\
[[prices.model]]
name = \"small\"
input = 0.15                    # for a million tokens of prompts
output = \"0.60\"
",
    ),
    (
        "[[model.targets]]",
        "\
[[model]]
name = \"mixed\"
[[model.targets]]
model = \"large\"
weight = 3
[[model.targets]]
model = \"small\"
weight = 1
",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, reference};

    #[test]
    fn every_section_has_an_example_that_is_a_configuration() {
        let page = reference();
        let sections = page.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
        for title in sections {
            assert!(of(title).is_some(), "core/src/config/examples.rs has no example of {title}");
        }
        for (title, example) in EXAMPLES {
            // The variables of tokens are not set here.
            let example = example.replace("value_env = \"APP_TOKEN\"", "value = \"a-secret-of-the-reader\"");
            if let Err(error) = Config::from_toml(&example) {
                panic!("{title}: {error}\n{example}");
            }
        }
    }
}
