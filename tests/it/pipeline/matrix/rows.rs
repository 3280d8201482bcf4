//! The rows of the matrix: what is expected of each fault, by where it strikes, and what single formats have otherwise.
//!
//! The chain is `one/m` with two credentials, then `two/m` with one; one retry at the same target.

use super::dialects::{Client, Upstream};

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An answer in one piece: whatever breaks, the client has nothing of it yet.
    Whole,
    /// A stream before its first content.
    Early,
    /// A stream after content.
    Late,
}

/// What the key of the client pays in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    Nothing,
    /// The usage that the answer told.
    Whole,
    /// The prompt, by our own count, of attempts that may have been worked on and brought nothing.
    Input,
    /// The prompt of such attempts, and an answer as it told.
    InputAndWhole,
    /// The prompt, and the two contents that had come.
    Came,
    /// The prompt, and all contents, by our own count where their usage is not told.
    AllCame,
}

/// What is expected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The calls that reached the mock.
    pub(super) tries: &'static str,
    /// As a client of chat completions sees it.
    pub(super) sees: &'static str,
    pub(super) charge: Charge,
    /// Attempts that reached nobody.
    pub(super) unreached: usize,
}

/// A fault and what is expected of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) place: Place,
    /// In the mock's words; EARLY and LATE stand for the number of events before the first, and up to the second content.
    pub(super) fault: &'static str,
    /// The first call meets it, and what comes then is answered.
    pub(super) once: Cell,
    /// Every call meets it; none, where there is no second call.
    pub(super) always: Option<Cell>,
}

impl Row {
    /// Returns whether the fault is silence, which ends when we have had enough of it.
    pub(super) fn is_silent(&self) -> bool {
        self.fault.contains("stall")
    }
}

const fn cell(tries: &'static str, sees: &'static str, charge: Charge) -> Cell {
    Cell { tries, sees, charge, unreached: 0 }
}

const fn before(
    place: Place,
    fault: &'static str,
    (tries, charge): (&'static str, Charge),
    (all, sees, charge_of_all): (&'static str, &'static str, Charge),
) -> Row {
    let fine = match place {
        Place::Whole => "200",
        Place::Early | Place::Late => "200 done",
    };
    Row { place, fault, once: cell(tries, fine, charge), always: Some(cell(all, sees, charge_of_all)) }
}

/// Nobody listens: at the first target, or anywhere.
const fn unreachable(place: Place) -> Row {
    let row = before(place, "refused", ("2", Charge::Whole), ("", "502 upstream_connect", Charge::Nothing));
    let Some(always) = row.always else { return row };
    Row { once: Cell { unreached: 2, ..row.once }, always: Some(Cell { unreached: 4, ..always }), ..row }
}

/// The client sees it as it is, once or always.
const fn seen(place: Place, fault: &'static str, tries: &'static str, sees: &'static str, charge: Charge) -> Row {
    Row { place, fault, once: cell(tries, sees, charge), always: None }
}

const SAME: &str = "1x 1x";
const NEXT: &str = "1x 2";
const OTHER: &str = "1x 1y";
/// Again at each target.
const AGAIN: &str = "1x 1x 2 2";
/// With every credential.
const EACH: &str = "1x 1y 2";

const SLOW: &str = "delay=20ms;first_token_delay=20ms;chunk_delay=10ms;drip=1ms;segment=30";

/// A fault; the calls and the charge where it strikes once; the calls, what is seen, and the charge where it always does.
type Before = (&'static str, (&'static str, Charge), (&'static str, &'static str, Charge));

/// What strikes before the head, whole or streamed: nothing was worked on, and only silence may have been.
const HEADLESS: [Before; 10] = {
    use Charge::{Input, InputAndWhole, Nothing, Whole};
    [
        ("reset_at=start", (SAME, Whole), (AGAIN, "502 upstream_connect", Nothing)),
        ("cut_at=start", (SAME, Whole), (AGAIN, "502 upstream_connect", Nothing)),
        ("stall_at=start", (NEXT, InputAndWhole), (NEXT, "504 upstream_timeout", Input)),
        ("garbage", (NEXT, InputAndWhole), (NEXT, "502 upstream_malformed", Input)),
        ("html", (SAME, Whole), (AGAIN, "502 upstream_server_error", Nothing)),
        ("status=500", (SAME, Whole), (AGAIN, "502 upstream_server_error", Nothing)),
        ("status=503;retry_after=8", (NEXT, Whole), (NEXT, "503 upstream_overload", Nothing)),
        ("status=429;retry_after=7", (OTHER, Whole), (EACH, "429 rate_limit_exceeded", Nothing)),
        ("status=401", (OTHER, Whole), (EACH, "502 upstream_auth", Nothing)),
        ("error=context_length", (NEXT, Whole), (NEXT, "400 context_length_exceeded", Nothing)),
    ]
};

/// Returns all rows.
pub(super) fn all() -> Vec<Row> {
    use Charge::{AllCame, Came, Input, InputAndWhole, Nothing, Whole};
    use Place::{Early, Late};
    let mut rows = Vec::new();
    for place in [Place::Whole, Early] {
        rows.push(unreachable(place));
        rows.extend(HEADLESS.map(|(fault, once, always)| before(place, fault, once, always)));
        rows.push(seen(place, FILTER, "1x", "400 content_filter", Nothing));
        // After the head, and before any content.
        for (fault, sees) in [("reset_at=0", "502 upstream_truncated"), ("cut_at=0", "502 upstream_truncated")] {
            rows.push(before(place, fault, (NEXT, InputAndWhole), (NEXT, sees, Input)));
        }
    }
    let broken = |place, fault, sees| before(place, fault, (NEXT, InputAndWhole), (NEXT, sees, Input));
    rows.extend([
        broken(Place::Whole, "cut_at=17", "502 upstream_truncated"),
        broken(Place::Whole, "reset_at=17", "502 upstream_truncated"),
        broken(Place::Whole, "stall_at=17", "504 upstream_timeout"),
        broken(Place::Whole, "content_length=99999", "502 upstream_truncated"),
        broken(Place::Whole, "content_length=40", "502 upstream_malformed"),
        broken(Place::Whole, "malformed_at=0", "502 upstream_malformed"),
        broken(Place::Whole, "empty", "502 upstream_malformed"),
        before(Place::Whole, "error_at=0", (NEXT, Whole), (NEXT, "502 upstream_server_error", Nothing)),
        broken(Early, "empty", "502 upstream_truncated"),
        broken(Early, "cut_at=event:EARLY", "502 upstream_truncated"),
        broken(Early, "reset_at=event:EARLY", "502 upstream_truncated"),
        broken(Early, "stall_at=event:EARLY", "504 upstream_timeout"),
        broken(Early, "malformed_at=0", "502 upstream_malformed"),
        before(Early, "error_at=EARLY", (NEXT, Whole), (NEXT, "502 upstream_server_error", Nothing)),
        seen(Late, "cut_at=event:LATE", "1x", "200 upstream_truncated", Came),
        seen(Late, "reset_at=event:LATE", "1x", "200 upstream_truncated", Came),
        seen(Late, "stall_at=event:LATE", "1x", "200 upstream_timeout", Came),
        seen(Late, "malformed_at=LATE", "1x", "200 upstream_malformed", Came),
        seen(Late, "error_at=LATE", "1x", "200 upstream_server_error", Came),
        seen(Late, "error_at=LATE;error=rate_limit", "1x", "200 rate_limit_exceeded", Came),
        seen(Late, "framing=length;content_length=99999", "1x", "200 done", Whole),
        seen(Late, "no_done", "1x", "200 done", Whole),
        seen(Late, NEITHER, "1x", "200 upstream_truncated", AllCame),
        // Slow, and well all the same.
        seen(Place::Whole, SLOW, "1x", "200", Whole),
        seen(Late, SLOW, "1x", "200 done", Whole),
    ]);
    rows
}

/// What single upstreams have otherwise: by name, place and fault.
const OTHERWISE: [(&str, Place, &str, &str, Charge); 15] = {
    use Charge::{AllCame, Came, Nothing};
    use Place::{Early, Late, Whole};
    [
        // Their filters speak in the finish of an answer, and the mock has no words for a refusal of theirs.
        ("gemini", Whole, FILTER, "400 upstream_rejected", Nothing),
        ("gemini", Early, FILTER, "400 upstream_rejected", Nothing),
        ("bedrock", Whole, FILTER, "400 upstream_rejected", Nothing),
        ("bedrock", Early, FILTER, "400 upstream_rejected", Nothing),
        ("cohere", Whole, FILTER, "400 upstream_rejected", Nothing),
        ("cohere", Early, FILTER, "400 upstream_rejected", Nothing),
        ("ollama", Whole, FILTER, "400 upstream_rejected", Nothing),
        ("ollama", Early, FILTER, "400 upstream_rejected", Nothing),
        // The provider's own event passes as it is, and this one has no code.
        ("chat", Late, "error_at=LATE", "200 null", Came),
        ("responses", Late, "error_at=LATE", "200 server_error", Came),
        // Errors in their streams have a message and no class.
        ("cohere", Late, "error_at=LATE;error=rate_limit", "200 upstream_server_error", Came),
        ("ollama", Late, "error_at=LATE;error=rate_limit", "200 upstream_server_error", Came),
        // The usage comes behind the finish, and is left out with it.
        ("bedrock", Late, "no_done", "200 done", AllCame),
        // One event is both the finish and the terminator.
        ("responses", Late, "no_done", "200 upstream_truncated", AllCame),
        ("ollama", Late, "no_done", "200 upstream_truncated", AllCame),
    ]
};

const FILTER: &str = "error=content_filter";
const NEITHER: &str = "no_done;no_finish";

/// Returns what a client of this format sees, and what its key is charged.
pub(super) fn otherwise(cell: &Cell, row: &Row, (upstream, client): (&Upstream, Client)) -> (String, Charge) {
    let found = OTHERWISE.iter().find(|(name, place, fault, ..)| (*name, *place, *fault) == (upstream.name, row.place, row.fault));
    let (sees, charge) = found.map_or((cell.sees, cell.charge), |(.., sees, charge)| (*sees, *charge));
    let (status, word) = sees.split_once(' ').unwrap_or((sees, ""));
    let sees = match (client, status, word) {
        (Client::Chat | Client::Responses, ..) | (_, "200", "" | "done") => sees.to_owned(),
        // Anthropic's own status for it.
        (Client::Messages, "503", word) => format!("529 {}", in_words_of(client, ("503", word))),
        (_, status, word) => format!("{status} {}", in_words_of(client, (status, word))),
    };
    (sees, charge)
}

/// The word of an error in the client's format, before a stream or within it.
fn in_words_of(client: Client, (status, code): (&str, &str)) -> &'static str {
    let is_of_the_request = matches!(code, "context_length_exceeded" | "content_filter" | "upstream_rejected");
    match (client, code) {
        (Client::Messages, _) if is_of_the_request => "invalid_request_error",
        (Client::Messages, "rate_limit_exceeded") => "rate_limit_error",
        (Client::Messages, "upstream_overload") => "overloaded_error",
        (Client::Messages, "upstream_timeout") => "timeout_error",
        (Client::Messages, _) => "api_error",
        (Client::Gemini, _) if is_of_the_request => "INVALID_ARGUMENT",
        (Client::Gemini, "rate_limit_exceeded") => "RESOURCE_EXHAUSTED",
        (Client::Gemini, "upstream_overload" | "upstream_connect") => "UNAVAILABLE",
        (Client::Gemini, "upstream_timeout") => "DEADLINE_EXCEEDED",
        (Client::Gemini, _) => "INTERNAL",
        (Client::Converse, "rate_limit_exceeded") if status == "200" => "throttlingException",
        (Client::Converse, "upstream_server_error") if status == "200" => "internalServerException",
        (Client::Converse, _) if status == "200" => "modelStreamErrorException",
        (Client::Converse, _) if is_of_the_request => "ValidationException",
        (Client::Converse, "rate_limit_exceeded") => "ThrottlingException",
        (Client::Converse, "upstream_overload" | "upstream_connect") => "ServiceUnavailableException",
        (Client::Converse, "upstream_timeout") => "ModelTimeoutException",
        (Client::Converse, "upstream_auth") => "InternalServerException",
        (Client::Converse, _) => "ModelErrorException",
        (Client::Cohere, _) => "error",
        (Client::Chat | Client::Responses, _) => unreachable!("their words are those of the rows"),
    }
}
