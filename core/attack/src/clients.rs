//! Callers with keys, sessions and tasks of their own.

use serde_json::{Value, json};

use crate::Outcome;
use crate::http::Ask;
use crate::target::Target;

impl Target {
    /// Makes a key. `more` are further members of the request. Gives the token and the key's id.
    ///
    /// # Errors
    /// When the administrator cannot make it.
    pub(crate) fn key(&self, name: &str, scopes: &[&str], more: &Value) -> Outcome<(String, String)> {
        let mut body = json!({"name": name, "scopes": scopes});
        merge(&mut body, more);
        let made = self.admin(Ask::post("/api/v1/keys", &body))?;
        let token = made["token"].as_str().ok_or_else(|| format!("a key without a token: {made}"))?;
        let id = token.split('_').nth(1).ok_or_else(|| format!("a token without an id: {made}"))?;
        Ok((token.to_owned(), id.to_owned()))
    }

    /// Makes a token that enrols one miner.
    ///
    /// # Errors
    /// When the administrator cannot make it.
    pub(crate) fn enrolment(&self, name: &str) -> Outcome<String> {
        let made = self.admin(Ask::post("/api/v1/miners/enrolments", &json!({"name": name})))?;
        let token = made["token"].as_str().filter(|token| !token.is_empty());
        token.map(str::to_owned).ok_or_else(|| format!("an enrolment without a token: {made}"))
    }

    /// Makes a session. Gives its id.
    ///
    /// # Errors
    /// When the administrator cannot make it.
    pub(crate) fn session(&self, name: &str) -> Outcome<u64> {
        let made = self.admin(Ask::post("/api/v1/sessions", &json!({"name": name})))?;
        made["session_id"].as_u64().ok_or_else(|| format!("a session without an id: {made}"))
    }

    /// Submits a prompt in that session and waits for the answer. Gives the task's id.
    ///
    /// # Errors
    /// When the administrator gets no answer.
    pub(crate) fn task(&self, session: u64, prompt: &str) -> Outcome<u64> {
        let body = json!({"session_id": session, "prompt": prompt});
        let made = self.admin(Ask::post("/api/v1/completions", &body))?;
        made["task_id"].as_u64().ok_or_else(|| format!("an answer without a task: {made}"))
    }
}

/// Adds the members of the object `more`.
fn merge(body: &mut Value, more: &Value) {
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}
