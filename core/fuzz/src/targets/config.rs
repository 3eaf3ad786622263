//! Configurations: in TOML, in JSON, and as lines `NAME=value` of the environment.

use cortensor_router::Config;
use cortensor_router::config::{Override, load};

use super::request::{told, written};
use super::{Target, stable};
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "config",
    read,
    growth: Growth { fixed: 4 << 20, times: 512 },
    words: &[
        "[limits]\n",
        "max_sessions = 5\n",
        "[[upstream]]\nurl = \"http://127.0.0.1:9/v1\"\n",
        "[listen.cors]\n",
        "name = \"a\"\n",
        "CORTENSOR_LIMITS_MAX_SESSIONS=5\n",
        "CORTENSOR_UPSTREAM_0_URL=http://127.0.0.1:9\n",
        "LLM_HOST=a\n",
        "{\"storage\":{\"data_dir\":\"/a\"}}",
        "limits.max_sessions=5",
        "\"\"\"",
        "'''",
        "1979-05-27",
        "0x7f",
    ],
    shapes: &[
        Shape {
            name: "many unknown keys",
            make: |n| (0..n / 8).map(|at| format!("key{at} = 1\n")).collect::<Vec<_>>().concat(),
        },
        Shape {
            name: "many unknown sections",
            make: |n| (0..n / 8).map(|at| format!("[part{at}]\n")).collect::<Vec<_>>().concat(),
        },
        Shape {
            name: "many upstreams",
            make: |n| {
                let one = |at| format!("[[upstream]]\nname = \"u{at}\"\nurl = \"http://127.0.0.1:9/v1\"\n");
                (0..n / 8).map(one).collect::<Vec<_>>().concat()
            },
        },
        Shape {
            name: "many tokens",
            make: |n| {
                let one = |at| format!("[[listen.token]]\nname = \"t{at}\"\ntoken = \"secret-secret-secret-{at}\"\n");
                (0..n / 8).map(one).collect::<Vec<_>>().concat()
            },
        },
        Shape {
            name: "many hosts",
            make: |n| {
                let hosts: Vec<_> = (0..n).map(|at| format!("\"h{at}.example\"")).collect();
                format!("[listen]\nhosts = [{}]", hosts.join(","))
            },
        },
        Shape {
            name: "many models of an upstream",
            make: |n| {
                let models: Vec<_> = (0..n).map(|at| format!("\"m{at}\"")).collect();
                format!("[[upstream]]\nurl = \"http://127.0.0.1:9/v1\"\nmodels = [{}]", models.join(","))
            },
        },
        Shape { name: "many comments", make: |n| format!("{}name = \"a\"", "# a\n".repeat(n)) },
        Shape { name: "a text with many escapes", make: |n| format!("name = \"{}\"", "\\u00e9\\n".repeat(n)) },
        Shape {
            name: "many unknown members in JSON",
            make: |n| {
                let members: Vec<_> = (0..n / 8).map(|at| format!("\"key{at}\":1")).collect();
                format!("{{{}}}", members.join(","))
            },
        },
        Shape { name: "deep JSON", make: |n| format!("{{\"limits\":{}{}}}", "[".repeat(n), "]".repeat(n)) },
        Shape { name: "one long unknown key", make: |n| format!("limits.{} = 1", "max_".repeat(n)) },
        Shape { name: "deep sections", make: |n| format!("[{}a]\nb = 1", "a.".repeat(n)) },
        Shape { name: "deep keys", make: |n| format!("{}a = 1", "a.".repeat(n)) },
        Shape { name: "deep lists", make: |n| format!("name = {}", "[".repeat(n)) },
        Shape { name: "a long text", make: |n| format!("name = \"{}\"", "a".repeat(n * 8)) },
        Shape {
            name: "many variables",
            make: |n| {
                (0..n / 8)
                    .map(|at| format!("CORTENSOR_UPSTREAM_{at}_URL=http://127.0.0.1:9\n"))
                    .collect::<Vec<_>>()
                    .concat()
            },
        },
        Shape {
            name: "many variables that set no key",
            make: |n| (0..n / 8).map(|at| format!("CORTENSOR_LIMITZ_MAX_TASKS_{at}=1\n")).collect::<Vec<_>>().concat(),
        },
        Shape { name: "a long variable that sets no key", make: |n| format!("CORTENSOR_{}=1", "MAX_".repeat(n)) },
    ],
};

fn read(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = Config::from_toml(&text) {
        told(&error, data);
    }
    match Config::from_json(&text) {
        Ok(config) => {
            stable(&config, written, Config::from_json);
        }
        Err(error) => told(&error, data),
    }
    let variables = || text.lines().filter_map(|line| line.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned()));
    match load(None, variables(), []) {
        Ok(loaded) => {
            let length: usize = loaded.remarks.iter().map(String::len).sum();
            assert!(length <= 64 * data.len() + 4_096, "{} bytes led to remarks of {length} bytes", data.len());
        }
        Err(error) => told(&error, data),
    }
    if let Some(line) = text.lines().next() {
        match Override::parse(line, "--set") {
            Ok(set) => {
                if let Err(error) = load(None, std::iter::empty(), [set]) {
                    told(&error, data);
                }
            }
            Err(error) => told(&error, data),
        }
    }
}
