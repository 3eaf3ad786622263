//! Measures what the translation of an API costs: the same answers and streams by Messages and Responses as by chat.

use crate::compare::{Of, Shape, compare};
use crate::load::{connect, exchange};
use crate::mock::{Mock, Mode, PROMPT, chat_of};
use crate::report::{Gate, Row};
use crate::requests::MEMORY;
use crate::target::Target;
use crate::{Context, Outcome, wire};

/// The name of the API that needs no translation.
const CHAT: &str = "chat";

/// The most that a translated answer or stream may cost, as a multiple of the one by chat.
const MOST: f64 = 1.3;

/// Measures answers and streams by each API. Each has a router of its own, so that its processor time can be told.
pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    const FIGURE: &str = "families";
    let mock = Mock::start(2)?;
    let router = |name| Target::router(context, name, MEMORY, Some(mock.address));
    let chat = router(CHAT)?;
    let messages = spoken(Target { path: "/v1/messages", say: message_of, ..router("messages")? })?;
    let responses = spoken(Target { path: "/v1/responses", say: response_of, ..router("responses")? })?;
    let targets = [chat, messages, responses];
    for (what, shape) in [("answer", Shape::whole(32)), ("stream", Shape::stream(Mode::Mock, 32))] {
        let round = compare(context, &targets, &shape)?;
        for measured in &round.measured {
            let row = Row::new(FIGURE, format!("c=32 {what}s, {}", measured.name), measured.rate(), "1/s");
            rows.push(row.note(format!("p50 {:.0} us, {:.0} us CPU each", measured.middle(), measured.cost())));
        }
        for name in ["messages", "responses"] {
            let row = Row::new(FIGURE, format!("processor time of one {what} by {name} beside chat"), 0.0, "us CPU");
            rows.push(round.against(row, Of::Cost, (name, CHAT), Gate::RatioAtMost(MOST)));
        }
    }
    Ok(())
}

/// The target with the number of events that its streams have.
fn spoken(target: Target) -> Outcome<Target> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let body = (target.say)("mock", Mode::Mock, true, PROMPT);
    let answer = runtime.map_err(|error| error.to_string())?.block_on(async {
        let (mut socket, mut answer) = (connect(target.streams).await?, Vec::new());
        exchange(&mut socket, &wire::post_to(target.streams, target.path, &body), &mut answer).await?;
        Ok::<_, String>(answer)
    })?;
    let frames = wire::count(&wire::body(&answer), b"data: ");
    if !wire::is_ok(&answer) || frames == 0 {
        return Err(format!("{}: a wrong answer: {}", target.name, String::from_utf8_lossy(&answer)));
    }
    Ok(Target { frames, ..target })
}

/// The usual chat in the words of Anthropic's Messages API.
fn message_of(model: &str, mode: Mode, stream: bool, prompt: &str) -> String {
    chat_of(model, mode, stream, prompt).replace(
        r#""messages":[{"role":"system","content":"You are terse."},"#,
        r#""system":"You are terse.","messages":["#,
    )
}

/// The usual chat in the words of OpenAI's Responses API.
fn response_of(model: &str, mode: Mode, stream: bool, prompt: &str) -> String {
    let chat = chat_of(model, mode, stream, prompt);
    chat.replace(r#""max_tokens":"#, r#""max_output_tokens":"#).replace(r#""messages":"#, r#""input":"#)
}
