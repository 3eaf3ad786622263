//! A malformed trace is refused with the number of the line and its fault.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

use std::path::Path;

use cortensor_router_testkit::traces::{azure, azure_text, mooncake_text};

fn azure_error(text: &str) -> String {
    azure_text(Path::new("a.csv"), text).expect_err("it is wrong")
}

fn mooncake_error(text: &str) -> String {
    mooncake_text(Path::new("m.jsonl"), text).expect_err("it is wrong")
}

#[test]
fn azure_lines_are_read_and_a_wrong_one_is_named() {
    let head = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";
    let two = format!("{head}2023-11-16 18:17:04.0319600,3180,8\r\n2023-11-16 18:17:03.9799600,4808,10");
    let read = azure_text(Path::new("a.csv"), &two).unwrap();
    let seen: Vec<_> = read.iter().map(|one| (one.at - read[0].at, one.prompt, one.output)).collect();
    assert_eq!(seen, [(0, 4_808, 10), (52, 3_180, 8)], "in order of time");

    assert_eq!(
        azure_error("when,how much\n"),
        "a.csv, line 1: the columns must be TIMESTAMP,ContextTokens,GeneratedTokens"
    );
    let good = "2023-11-16 18:17:03.9799600,4808,10\n";
    for (line, why) in [
        ("2023-11-16 18:17:04.03,3180", "there are 2 columns"),
        ("2023-11-16 18:17:04.03,3180,few", "GeneratedTokens is \"few\", which is no number of tokens"),
        ("2023-11-16 18:17:04.03,-1,8", "ContextTokens is \"-1\""),
        ("2023-13-16 18:17:04.03,3180,8", "TIMESTAMP is \"2023-13-16 18:17:04.03\", which is no time"),
        ("yesterday,3180,8", "TIMESTAMP is \"yesterday\""),
    ] {
        let error = azure_error(&format!("{head}{good}{line}\n"));
        assert!(error.starts_with("a.csv, line 3: ") && error.contains(why), "{error}");
    }
    assert_eq!(azure_error(head), "a.csv: there is no request in it");
    let missing = azure(Path::new("/nowhere/a.csv")).expect_err("it is not there");
    assert!(missing.starts_with("/nowhere/a.csv: ") && missing.contains("--traces"), "{missing}");
}

#[test]
fn mooncake_lines_are_read_and_a_wrong_one_is_named() {
    let good = r#"{"timestamp": 3000, "input_length": 1000, "output_length": 52, "hash_ids": [0, 7]}"#;
    let read = mooncake_text(Path::new("m.jsonl"), good).unwrap();
    assert_eq!((read[0].at, read[0].prompt, read[0].output, read[0].blocks.len()), (3_000, 1_000, 52, 2));
    // 1 000 tokens are 4 000 bytes of text, which make three whole marks.
    assert_eq!(read[0].prefix.len(), 3);

    let short = r#"{"timestamp": 0, "input_length": 1000, "output_length": 52, "hash_ids": [0]}"#;
    assert_eq!(
        mooncake_error(&format!("{good}\n\n{short}")),
        "m.jsonl, line 3: input_length 1000 is 2 blocks, hash_ids holds 1"
    );
    let cut = mooncake_error(&format!("{good}\n{}", &good[..40]));
    assert!(cut.starts_with("m.jsonl, line 2: EOF while parsing"), "{cut}");
    let field = mooncake_error(r#"{"timestamp": 0, "input_length": 1000, "hash_ids": [0, 1]}"#);
    assert!(field.contains("missing field `output_length`"), "{field}");
}
