//! Tables and properties of the translation: what a body means, what an answer says, and what several say together.

use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest as _, Sha256};

// The name is also a trait of proptest.
use super::Strategy;
use super::*;
use crate::{Completion, Policy, RequestKind, TaskRequest};

/// The member at fault.
fn fault<T>(read: crate::Result<T>) -> Option<String> {
    read.err().and_then(|error| error.details().param.clone())
}

fn bytes(body: &serde_json::Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

#[test]
fn a_policy_is_a_named_set_of_rules() {
    let rules = |policy: serde_json::Value| {
        let order = delegation(&bytes(&json!({"objective": "x", "policy": policy})), false, 8).unwrap();
        order.rules.over(order.chat)
    };
    for (policy, miners, compared, tie_break) in [
        (json!("fast"), 1, None, None),
        (json!("safe"), 3, Some(Policy::Quorum), Some(false)),
        (json!("oracle"), 5, Some(Policy::Quorum), Some(true)),
        (json!("adaptive"), 2, Some(Policy::Quorum), Some(true)),
        (json!({"tier": "safe", "redundancy": 4}), 4, Some(Policy::Quorum), Some(false)),
        (json!({"name": "fast", "redundancy": 2, "validation_policy": "all"}), 2, Some(Policy::All), None),
    ] {
        let chat = rules(policy.clone());
        let how = chat.validation.as_deref();
        assert_eq!(chat.max_miners, Some(miners), "{policy}");
        assert_eq!(how.and_then(|how| how.validation_policy), compared, "{policy}");
        assert_eq!(how.and_then(|how| how.tie_break), tie_break, "{policy}");
    }
    assert_eq!(rules(json!(null)).max_miners, None, "the session's rules hold");
}

#[test]
fn a_wrong_member_is_named() {
    for (body, member) in [
        (json!({}), "objective"),
        (json!({"objective": " "}), "objective"),
        (json!({"objective": "x", "policy": "slow"}), "policy"),
        (json!({"objective": "x", "policy": {"tier": "slow"}}), "policy.tier"),
        (json!({"objective": "x", "policy": {"redundancy": 0}}), "policy.redundancy"),
        (json!({"objective": "x", "policy": {"redundancy": 9}}), "policy.redundancy"),
        (json!({"objective": "x", "consensus": {"replicas": 2}}), "consensus.replicas"),
        (json!({"objective": "x", "consensus": {"replicas": "3"}}), "consensus.replicas"),
        (json!({"objective": "x", "consensus": {"session_pool": [1]}}), "consensus.session_pool"),
        (json!({"objective": "x", "consensus": {"session_pool": [1, {}, 2]}}), "consensus.session_pool[1]"),
        (json!({"objective": "x", "consensus": {"strategy": "most"}}), "consensus.strategy"),
        (json!({"objective": "x", "consensus": {"disagreement_policy": "x"}}), "consensus.disagreement_policy"),
        (json!({"objective": "x", "tools": ["search"]}), "tools[0]"),
        (json!({"objective": "x", "execution": {"max_tokens": 0}}), "execution.max_tokens"),
        (json!({"objective": "x", "execution": {"stream": true}}), "execution.stream"),
        (json!({"objective": "x", "n": 2}), "n"),
        (json!({"objective": "x", "execution": 1}), "execution"),
        (json!({"objective": "x", "timeout": "soon"}), "timeout"),
        (json!({"objective": 7, "stream": true}), "stream"),
        (json!([]), "body"),
    ] {
        assert_eq!(fault(delegation(&bytes(&body), true, 8)).as_deref(), Some(member), "{body}");
    }
    for (body, member) in [
        (json!({}), "claim"),
        (json!({"task_request_input": "2+2?"}), "task_result_output"),
        (json!({"task_result_output": "4"}), "task_request_input"),
        (json!({"task_id": 3}), "session_id"),
        (json!({"session_id": 1, "task_id": "x"}), "task_id"),
        (json!({"session_id": 1, "task_id": 1.5}), "task_id"),
        (json!({"claim": "x", "policy": 7}), "policy"),
    ] {
        assert_eq!(fault(examine(&bytes(&body), true, 8)).as_deref(), Some(member), "{body}");
    }
    for (body, member) in [
        (json!({}), "claim"),
        (json!({"claim": "x", "redundancy": 2}), "redundancy"),
        (json!({"claim": "x", "redundancy": 9}), "redundancy"),
        (json!({"claim": "x", "mode": "slow"}), "mode"),
    ] {
        assert_eq!(fault(factcheck(&bytes(&body), 8)).as_deref(), Some(member), "{body}");
    }
}

#[test]
fn an_objective_becomes_a_chat_with_all_that_belongs_to_it() {
    let body = json!({
        "objective": "Sum them.", "input": {"numbers": [1, 2]}, "workflow": ["add"], "metadata": {"id": 7}, "actor": "a",
        "session_id": "2", "tools": [{"type": "function", "function": {"name": "add"}}],
        "execution": {"model": "m", "max_tokens": 9.0, "timeout": 5, "temperature": 0.5},
    });
    let order = delegation(&bytes(&body), false, 8).unwrap();
    let chat = &order.chat;
    assert_eq!(
        chat.messages.as_ref().unwrap().get(),
        r#"[{"role":"user","content":"Sum them.\n\nInput:\n{\"numbers\":[1,2]}\n\nSteps to follow:\n[\"add\"]"}]"#
    );
    assert_eq!((chat.kind, chat.model.as_deref(), chat.max_tokens), (RequestKind::Chat, Some("m"), Some(9)));
    assert_eq!((chat.timeout, chat.extra.len()), (Some(5.0), 2));
    assert_eq!(chat.extra("tools").unwrap().get(), r#"[{"function":{"name":"add"},"type":"function"}]"#);
    assert_eq!((order.session.unwrap().get(), order.metadata.unwrap().get()), (r#""2""#, r#"{"id":7}"#));
}

#[test]
fn an_older_delegation_is_a_completion() {
    let of = |body: &str| prompt_of(serde_json::from_str::<TaskRequest>(body).unwrap(), 8);
    let older = of(r#"{"task_request_input":"hi","task_domain":"d","task_type":"t","evaluation_mode":"e","top_p":1}"#);
    let older = older.unwrap();
    assert_eq!((older.prompt.as_deref(), older.extra.len(), older.max_miners), (Some("hi"), 1, None));
    let newer = of(r#"{"prompt":"hi","policy":"adaptive","stream":true}"#).unwrap();
    assert_eq!((newer.max_miners, newer.stream, newer.extra.len()), (Some(2), true, 0));
    assert_eq!(fault(of("{}")).as_deref(), Some("prompt"));
}

#[test]
fn a_check_of_facts_asks_three_miners_at_least() {
    for (body, miners) in [
        (json!({"claim": "x"}), 3),
        (json!({"claim": "x", "policy": "fast"}), 3),
        (json!({"claim": "x", "policy": "oracle"}), 5),
        (json!({"claim": "x", "redundancy": 4}), 4),
    ] {
        assert_eq!(factcheck(&bytes(&body), 8).unwrap().order.rules.miners, Some(miners), "{body}");
    }
}

#[test]
fn a_claim_cannot_bring_places_of_its_own() {
    let claim = Claim { text: "{context} {claim}", context: Some("{claim}"), prompt: "a {claim} b {context} c {x} {" };
    assert_eq!(claim.told(), "a {context} {claim} b What is known beside it:\n{claim}\n c {x} {");
}

#[test]
fn an_answer_is_read_by_rule() {
    let long = format!("VERDICT: VALID\n{}", "é".repeat(400));
    for (answer, finding, is_given, score, reason) in [
        ("VERDICT: VALID\nSCORE: 0.9\nIt is right.", Finding::Valid, true, Some(0.9), "It is right."),
        ("\n **Verdict:** invalid.\n\nREASON: No.\nNever.", Finding::Invalid, true, None, "No. Never."),
        ("verdict : needs spec\nscore: 40%", Finding::NeedsSpec, true, Some(0.4), ""),
        ("VERDICT: RETRY", Finding::Retry, true, None, ""),
        ("<think>VERDICT: VALID?</think>VERDICT: INVALID", Finding::Invalid, true, None, ""),
        (r#"{"verdict":"VALID","score":1,"reasons":["a","b"]}"#, Finding::Valid, true, Some(1.0), "a b"),
        (
            "Here:\n```json\n{\"verdict\":\"needs-spec\",\"reason\":\"which?\"}\n```",
            Finding::NeedsSpec,
            true,
            None,
            "which?",
        ),
        (r#"{"verdict":"VALID","score":7}"#, Finding::Valid, true, None, ""),
        (long.as_str(), Finding::Valid, true, None, &"é".repeat(300)),
        ("It is VALID.", Finding::Retry, false, None, "the answer gives no verdict"),
        ("Well.\nVERDICT: VALID", Finding::Retry, false, None, "the answer gives no verdict"),
        ("VERDICT: VALID or INVALID", Finding::Retry, false, None, "the answer gives no verdict"),
        (r#"{"verdict":"maybe"}"#, Finding::Retry, false, None, "the answer gives no verdict"),
        (r#"{"verdict":true}"#, Finding::Retry, false, None, "the answer gives no verdict"),
        ("VERDICT", Finding::Retry, false, None, "the answer gives no verdict"),
        ("", Finding::Retry, false, None, "the answer gives no verdict"),
    ] {
        let opinion = Opinion::of(answer);
        assert_eq!((opinion.finding, opinion.is_given, opinion.score), (finding, is_given, score), "{answer}");
        assert!(opinion.reason.starts_with(reason), "{answer}: {}", opinion.reason);
    }
}

fn opinions(findings: &[Finding]) -> Vec<Opinion> {
    findings.iter().map(|finding| Opinion { finding: *finding, is_given: true, ..Opinion::default() }).collect()
}

#[test]
fn a_majority_of_those_asked_makes_the_verdict() {
    use Finding::{Invalid, NeedsSpec, Retry, Valid};
    let rule = |wanted, strategy, best_effort| Quorum { wanted, strategy, best_effort };
    for (rule, given, finding, is_agreed) in [
        (rule(3, Strategy::Majority, false), &[Valid, Valid, Invalid][..], Valid, true),
        (rule(3, Strategy::Unanimous, false), &[Valid, Valid, Invalid], Retry, false),
        (rule(3, Strategy::Unanimous, true), &[Valid, Valid, Invalid], Valid, false),
        (rule(3, Strategy::Majority, false), &[Valid], Retry, false),
        (rule(3, Strategy::Majority, true), &[Invalid], Invalid, false),
        (rule(2, Strategy::Majority, false), &[Valid, Invalid], Retry, false),
        (rule(2, Strategy::Majority, true), &[Valid, Invalid], Retry, false),
        (rule(2, Strategy::Majority, false), &[Valid, Invalid, Invalid], Invalid, true),
        (rule(3, Strategy::Majority, false), &[NeedsSpec, NeedsSpec, NeedsSpec], NeedsSpec, true),
        (rule(3, Strategy::Majority, false), &[Retry, Retry, Valid], Retry, true),
        (rule(1, Strategy::Majority, false), &[Valid], Valid, true),
        (rule(3, Strategy::Majority, true), &[], Retry, false),
    ] {
        let judged = Judgement::of(rule, &opinions(given));
        assert_eq!((judged.finding, judged.is_agreed), (finding, is_agreed), "{rule:?} {given:?}");
    }
    let judged = Judgement::of(rule(3, Strategy::Majority, false), &opinions(&[Valid, Invalid, Invalid]));
    assert!((judged.confidence - 2.0 / 3.0).abs() < 1e-9 && (judged.score - 1.0 / 3.0).abs() < 1e-9, "{judged:?}");
}

#[test]
fn an_attestation_follows_from_what_the_answer_shows() {
    let mut done = Completion::new(crate::Answer::default().text("VERDICT: VALID"));
    done.miner_address = "0xab".into();
    let mut evidence = Evidence::of(&done, |_| Some(7));
    evidence[0].opine();
    let made = Attestation::of("claim", Finding::Valid, &evidence);
    let again =
        format!("cortensor-router/validation/1\nVALID\n{}\n0xab VALID {}", made.claim_sha256, evidence[0].sha256);
    assert_eq!(made.digest, crate::hex::hex(&Sha256::digest(again)));
    assert_ne!(made, Attestation::of("other", Finding::Valid, &evidence));
    assert_ne!(made.digest, Attestation::of("claim", Finding::Invalid, &evidence).digest);
}

proptest! {
    #[test]
    fn no_answer_and_no_body_is_too_strange(text in any::<String>(), body in any::<Vec<u8>>()) {
        let opinion = Opinion::of(&text);
        prop_assert!(opinion.is_given || opinion.finding == Finding::Retry);
        prop_assert!(opinion.reason.len() <= 600);
        for replicas in [true, false] {
            let _ = (delegation(&body, replicas, 8), examine(&body, replicas, 8), factcheck(&body, 8));
        }
    }

    #[test]
    fn every_word_and_form_is_read_as_it_was_written(word in 0..4_usize, thousandths in 0..=1_000_u32, form in 0..3) {
        let finding = [Finding::Valid, Finding::Invalid, Finding::Retry, Finding::NeedsSpec][word];
        let score = f64::from(thousandths) / 1_000.0;
        let answer = match form {
            0 => format!("VERDICT: {finding}\nSCORE: {score}"),
            1 => json!({"verdict": finding, "score": score}).to_string(),
            _ => format!("## verdict: **{}**\nscore: {score}", finding.as_str().to_lowercase()),
        };
        let opinion = Opinion::of(&answer);
        prop_assert_eq!((opinion.finding, opinion.is_given, opinion.score), (finding, true, Some(score)));
    }

    #[test]
    fn the_order_of_opinions_does_not_matter_and_only_a_quorum_decides(
        words in prop::collection::vec(0..4_usize, 0..7), wanted in 1..6_u32, unanimous in any::<bool>(), turn in 0..7_usize
    ) {
        let all = [Finding::Valid, Finding::Invalid, Finding::Retry, Finding::NeedsSpec];
        let mut given: Vec<Finding> = words.iter().map(|word| all[*word]).collect();
        let strategy = if unanimous { Strategy::Unanimous } else { Strategy::Majority };
        let rule = Quorum { wanted, strategy, best_effort: false };
        let first = Judgement::of(rule, &opinions(&given));
        let turn = if given.is_empty() { 0 } else { turn % given.len() };
        given.rotate_left(turn);
        let second = Judgement::of(rule, &opinions(&given));
        prop_assert!((first.score - second.score).abs() < 1e-9);
        prop_assert_eq!((first.finding, first.is_agreed, first.agreeing), (second.finding, second.is_agreed, second.agreeing));
        prop_assert!((0.0..=1.0).contains(&first.confidence) && (0.0..=1.0).contains(&first.score));
        if first.finding != Finding::Retry {
            prop_assert!(first.agreeing >= strategy.quorum(wanted));
        }
    }
}
