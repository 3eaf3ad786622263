//! The opinion that a miner's answer gives about a claim, read by rule.

use serde::Deserialize;

use crate::json::answered;
use crate::word::words;

words! {
    /// A verdict on a claim.
    #[derive(Default)]
    Finding in "verdict" {
        /// The claim holds.
        Valid = "VALID",
        /// The claim does not hold.
        Invalid = "INVALID",
        /// Nobody can say for now: it is worth asking again.
        #[default]
        Retry = "RETRY",
        /// Nobody can say without more information.
        NeedsSpec = "NEEDS_SPEC",
    }
}

impl Finding {
    /// The verdict that a word stands for, in capitals or not.
    fn of(word: &str) -> Option<Self> {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic()).to_ascii_uppercase().replace([' ', '-'], "_");
        word.parse().ok()
    }
}

/// The opinion of one miner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opinion {
    /// The verdict; `RETRY` where the answer gives none.
    pub finding: Finding,
    /// Whether the answer gives a verdict by the rule.
    pub is_given: bool,
    /// How right the claim is, from 0 to 1, where the answer says so.
    pub score: Option<f64>,
    /// The reason, shortened.
    pub reason: String,
}

/// The most bytes of a reason.
const REASON_BYTES: usize = 600;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    verdict: String,
    score: Option<f64>,
    #[serde(alias = "reasons")]
    reason: Option<Reason>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reason {
    One(String),
    Several(Vec<String>),
}

impl Opinion {
    /// Reads an answer: JSON with the member `verdict`, also in a fenced block, or a first line `VERDICT: <word>`. Any
    /// other answer counts as `RETRY`.
    pub fn of(answer: &str) -> Self {
        let answer = spoken(answer);
        let said = Self::in_json(answer).or_else(|| Self::in_lines(answer));
        said.unwrap_or_else(|| Self {
            reason: "the answer gives no verdict: neither on its first line nor as JSON".to_owned(),
            ..Self::default()
        })
    }

    fn in_json(answer: &str) -> Option<Self> {
        let Said { verdict, score, reason } = serde_json::from_value(answered(answer)?).ok()?;
        let reason = match reason {
            Some(Reason::One(reason)) => reason,
            Some(Reason::Several(reasons)) => reasons.join(" "),
            None => String::new(),
        };
        Some(Self {
            finding: Finding::of(&verdict)?,
            is_given: true,
            score: score.filter(|score| (0.0..=1.0).contains(score)),
            reason: short(&reason),
        })
    }

    fn in_lines(answer: &str) -> Option<Self> {
        let mut lines = answer.lines().map(str::trim).filter(|line| !line.is_empty());
        let finding = Finding::of(labelled(lines.next()?, "VERDICT")?)?;
        let (mut score, mut reason) = (None, String::new());
        for line in lines {
            if let Some(number) = labelled(line, "SCORE") {
                score = share(number);
            } else {
                let words = labelled(line, "REASON").or_else(|| labelled(line, "REASONS")).unwrap_or(line);
                if !reason.is_empty() {
                    reason.push(' ');
                }
                reason.push_str(words);
            }
        }
        Some(Self { finding, is_given: true, score, reason: short(&reason) })
    }
}

/// The answer without the reasoning that some models write before it.
fn spoken(answer: &str) -> &str {
    let answer = answer.trim();
    let after = answer.strip_prefix("<think>").and_then(|rest| rest.split_once("</think>"));
    after.map_or(answer, |(_, spoken)| spoken.trim_start())
}

/// The rest of a line that begins with that label and a colon, with or without the marks of Markdown.
fn labelled<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    let line = line.trim_start_matches(|c: char| "*_#>`- ".contains(c));
    let (head, rest) = line.split_at_checked(label.len())?;
    let rest = rest.trim_start_matches(|c: char| "*_` ".contains(c));
    let rest = rest.strip_prefix(':').filter(|_| head.eq_ignore_ascii_case(label))?;
    Some(rest.trim_matches(|c: char| "*_` ".contains(c)))
}

/// A share from 0 to 1, which may be written in per cent.
fn share(text: &str) -> Option<f64> {
    let (text, whole) = text.strip_suffix('%').map_or((text, 1.0), |text| (text, 100.0));
    let share = text.trim().parse::<f64>().ok()? / whole;
    (0.0..=1.0).contains(&share).then_some(share)
}

fn short(reason: &str) -> String {
    let reason = reason.trim();
    reason[..reason.floor_char_boundary(REASON_BYTES)].to_owned()
}
