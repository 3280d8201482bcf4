//! What an alias says about its requests, laid under or over what the client said.
//!
//! Rule: what comes from an alias stands nowhere in the client's body, so a target that cannot express it is no loss of the client's.

use super::Request;
use crate::wire::json::{Given, Place};

/// Which of two wins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wins {
    Client,
    Alias,
}

impl<'a> Request<'a> {
    /// Fills in what the client did not say. Messages and tools are not touched.
    pub fn fill_in(&mut self, defaults: Self) {
        self.merge(defaults, Wins::Client);
    }

    /// Sets what the alias says, whatever the client said. Messages and tools are not touched.
    pub fn overrule(&mut self, overrides: Self) {
        self.merge(overrides, Wins::Alias);
    }

    fn merge(&mut self, alias: Self, wins: Wins) {
        macro_rules! each {
            ($($($field:ident).+),+ $(,)?) => { $(merge(&mut self.$($field).+, alias.$($field).+, wins);)+ };
        }
        each!(
            tool_choice,
            parallel_tool_calls,
            output,
            max_output_tokens,
            sampling.temperature,
            sampling.top_p,
            sampling.top_k,
            sampling.presence_penalty,
            sampling.frequency_penalty,
            sampling.seed,
            sampling.logit_bias,
            sampling.candidates,
            logprobs.is_wanted,
            logprobs.top,
            reasoning.mode,
            reasoning.effort,
            reasoning.display,
            verbosity,
            caching.key,
            caching.retention,
            identity.user,
            identity.safety_id,
            identity.metadata,
            identity.store,
            service_tier,
        );
        if !alias.stop.is_empty() && (wins == Wins::Alias || self.stop.is_empty()) {
            self.stop = alias.stop.into_iter().map(moved).collect();
        }
        for mut extra in alias.extras {
            if alias.format != self.format {
                continue;
            }
            extra.at = Place::NOWHERE;
            match self.extras.iter_mut().find(|known| known.name == extra.name) {
                Some(known) if wins == Wins::Alias => *known = extra,
                Some(_) => {}
                None => self.extras.push(extra),
            }
        }
    }
}

fn merge<T>(client: &mut Option<Given<T>>, alias: Option<Given<T>>, wins: Wins) {
    if alias.is_some() && (wins == Wins::Alias || client.is_none()) {
        *client = alias.map(moved);
    }
}

fn moved<T>(given: Given<T>) -> Given<T> {
    Given { at: Place::NOWHERE, ..given }
}

#[cfg(test)]
mod tests {
    use crate::wire::Format;
    use crate::wire::codec::Route;
    use crate::wire::ir::Request;

    fn read(body: &str) -> Request<'_> {
        Format::OpenaiChat.codec().decode_request(body.as_bytes(), &Route::default()).unwrap()
    }

    const ALIAS: &str = r#"{"model":"","messages":[],"temperature":0.2,"max_tokens":9,"stop":["x"],"provider":{"order":["a"]}}"#;
    const CLIENT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":1.10,"provider":1}"#;

    #[test]
    fn defaults_fill_in_and_overrides_win() {
        let mut request = read(CLIENT);
        request.fill_in(read(ALIAS));
        assert_eq!(request.sampling.temperature.map(|it| it.value.as_str()), Some("1.10"));
        assert_eq!((request.max_output_tokens.map(|it| it.value), request.stop.len(), request.messages.len()), (Some(9), 1, 1));
        assert_eq!(request.extras[0].value.as_str(), "1");

        let mut request = read(CLIENT);
        request.overrule(read(ALIAS));
        assert_eq!(request.sampling.temperature.map(|it| it.value.as_str()), Some("0.2"));
        assert_eq!(request.extras[0].value.as_str(), r#"{"order":["a"]}"#);
        assert_eq!(request.extras.len(), 1);
    }
}
