//! The messages of a chat, and the request that they make.

use serde_json::{Map, Value, json};

/// A conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct Conversation {
    pub(super) system: Option<String>,
    pub(super) model: Option<String>,
    pub(super) session: Option<String>,
    pub(super) max_tokens: Option<u64>,
    pub(super) temperature: Option<f64>,
    /// The messages with their speakers, in turn.
    pub(super) turns: Vec<(Role, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl Conversation {
    /// Adds a question.
    pub(super) fn ask(&mut self, text: &str) {
        self.turns.push((Role::User, text.to_owned()));
    }

    /// Adds the answer to the last question. A question without an answer is taken back, so that it can be asked again.
    pub(super) fn answered(&mut self, text: &str) {
        if text.is_empty() {
            self.turns.pop();
        } else {
            self.turns.push((Role::Assistant, text.to_owned()));
        }
    }

    /// Forgets all messages but the system's.
    pub(super) fn clear(&mut self) {
        self.turns.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The request for the next message.
    pub(super) fn request(&self) -> Value {
        let system = self.system.iter().map(|text| json!({"role": "system", "content": text}));
        let turns = self.turns.iter().map(|(role, text)| json!({"role": role.name(), "content": text}));
        let messages: Vec<Value> = system.chain(turns).collect();
        let mut body = Map::from_iter([
            ("messages".to_owned(), json!(messages)),
            ("stream".to_owned(), json!(true)),
            ("stream_options".to_owned(), json!({"include_usage": true})),
        ]);
        let optional = [
            ("model", self.model.as_ref().map(|model| json!(model))),
            ("max_tokens", self.max_tokens.map(|most| json!(most))),
            ("temperature", self.temperature.map(|temperature| json!(temperature))),
        ];
        body.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Value::Object(body)
    }

    /// The conversation as Markdown.
    pub(super) fn text(&self) -> String {
        let system = self.system.iter().map(|text| ("system", text));
        let turns = self.turns.iter().map(|(role, text)| (role.name(), text));
        let parts = system.chain(turns).map(|(role, text)| format!("## {role}\n\n{}\n", text.trim_end()));
        parts.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_without_an_answer_is_taken_back() {
        let mut talk =
            Conversation { system: Some("Be brief.".into()), model: Some("m".into()), ..Conversation::default() };
        talk.ask("one");
        talk.answered("1");
        talk.ask("two");
        talk.answered("");
        talk.ask("three");
        let request = talk.request();
        let said: Vec<&str> =
            request["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
        assert_eq!(said, ["Be brief.", "one", "1", "three"]);
        assert_eq!((&request["model"], request.get("max_tokens")), (&json!("m"), None));
        assert!(talk.text().starts_with("## system\n\nBe brief.\n\n## user\n\none\n"));
        talk.clear();
        assert!(talk.is_empty() && talk.system.is_some());
    }
}
