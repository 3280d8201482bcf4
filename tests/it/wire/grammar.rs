//! Any lawful stream, written in any format, says the same when it is read back.

use bifrostctl::wire::Format;
use bifrostctl::wire::ir::laws::Laws;
use bifrostctl::wire::ir::{Delta, Event, Finish, FinishReason, Maker, PartStart, Signature, Usage};
use proptest::prelude::*;

use super::corpus::REPLY;
use super::said::{Listener, as_heard_in, hear};
use super::shape;

#[derive(Debug, Clone)]
enum Kind {
    Text,
    Thinking(Option<Maker>),
    Redacted(Maker),
    Refusal,
    Call,
}

#[derive(Debug, Clone)]
struct Part {
    kind: Kind,
    pieces: Vec<String>,
}

fn maker() -> impl Strategy<Value = Maker> {
    prop::sample::select(Maker::ALL.to_vec())
}

fn part() -> impl Strategy<Value = Part> {
    let text = proptest::collection::vec(".{0,6}", 0..4);
    let kind = prop_oneof![
        Just(Kind::Text),
        proptest::option::of(maker()).prop_map(Kind::Thinking),
        maker().prop_map(Kind::Redacted),
        Just(Kind::Refusal),
    ];
    let said = (kind, text).prop_map(|(kind, pieces)| Part { kind, pieces });
    let input = proptest::collection::btree_map("[a-z]{1,3}", ".{0,6}", 0..3).prop_map(|input| serde_json::to_string(&input).unwrap());
    let call = (input, proptest::collection::vec(any::<prop::sample::Index>(), 0..3)).prop_map(|(input, cuts)| {
        let characters: Vec<char> = input.chars().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(characters.len())).chain([0, characters.len()]).collect();
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| characters[cut[0]..cut[1]].iter().collect::<String>());
        Part { kind: Kind::Call, pieces: pieces.filter(|piece| !piece.is_empty()).collect() }
    });
    prop_oneof![2 => said, 1 => call]
}

fn start(part: &Part, number: usize) -> PartStart<'static> {
    match part.kind {
        Kind::Text => PartStart::Text,
        Kind::Thinking(_) => PartStart::Thinking,
        Kind::Redacted(maker) => PartStart::RedactedThinking(Signature { value: format!("sealed-{number}").into(), maker }),
        Kind::Refusal => PartStart::Refusal,
        Kind::Call => PartStart::ToolCall { id: format!("call_{number}").into(), name: format!("tool_{number}").into(), is_custom: false },
    }
}

fn deltas(part: &Part) -> Vec<Delta<'static>> {
    let pieces = part.pieces.iter().cloned();
    match part.kind {
        Kind::Text | Kind::Refusal => pieces.map(|piece| Delta::Text(piece.into())).collect(),
        Kind::Call => pieces.map(|piece| Delta::Input(piece.into())).collect(),
        Kind::Thinking(maker) => {
            let signature = maker.map(|maker| Delta::Signature(Signature { value: "signed".into(), maker }));
            pieces.map(|piece| Delta::Text(piece.into())).chain(signature).collect()
        }
        Kind::Redacted(_) => Vec::new(),
    }
}

/// Interleaves the parts: `turns` says whose turn it is. Calls may stay open while others open; what is not a call runs alone, as no
/// upstream interleaves text.
fn events(parts: &[Part], turns: &[prop::sample::Index], usage: Usage) -> Vec<Event<'static>> {
    let mut events = vec![Event::Start { id: "id".into(), model: "model".into(), created: Some(7) }];
    let mut open: Vec<(u32, std::vec::IntoIter<Delta<'static>>)> = Vec::new();
    let mut turns = turns.iter().cycle();
    let mut step = |open: &mut Vec<(u32, std::vec::IntoIter<Delta<'static>>)>, events: &mut Vec<Event<'static>>| {
        let at = turns.next().unwrap().index(open.len());
        let (part, deltas) = &mut open[at];
        match deltas.next() {
            Some(delta) => events.push(Event::Delta { choice: 0, part: *part, delta }),
            None => {
                events.push(Event::PartEnd { choice: 0, part: *part });
                open.remove(at);
            }
        }
    };
    for (number, part) in parts.iter().enumerate() {
        let waits = !matches!(part.kind, Kind::Call);
        while !open.is_empty() && (waits || open.len() > 2) {
            step(&mut open, &mut events);
        }
        let part_number = u32::try_from(number).unwrap();
        events.push(Event::PartStart { choice: 0, part: part_number, start: start(part, number) });
        open.push((part_number, deltas(part).into_iter()));
        while waits && !open.is_empty() {
            step(&mut open, &mut events);
        }
    }
    while !open.is_empty() {
        step(&mut open, &mut events);
    }
    let calls_tools = parts.iter().any(|part| matches!(part.kind, Kind::Call));
    let finish = Finish::new(FinishReason::Stop).with_tool_calls(calls_tools);
    events.extend([Event::Ping, Event::Usage(usage), Event::Finish { choice: 0, finish }, Event::End]);
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_lawful_stream_says_the_same_in_every_format(parts in proptest::collection::vec(part(), 0..6), turns in proptest::collection::vec(any::<prop::sample::Index>(), 1..20), counts in any::<[u16; 5]>()) {
        let [input, cache_read, cache_write, output, reasoning] = counts.map(u64::from);
        let usage = Usage { input, cache_read, cache_write, output: output + reasoning, reasoning, ..Usage::default() };
        let events = events(&parts, &turns, usage);
        let mut laws = Laws::default();
        let mut listener = Listener::default();
        for event in &events {
            prop_assert_eq!(laws.observe(event), Ok(()));
            listener.event(event);
        }
        for into in Format::ALL {
            let mut encoder = into.codec().stream_encoder(&REPLY);
            let mut out = Vec::new();
            events.iter().for_each(|event| encoder.event(event, &mut out));
            prop_assert_eq!(encoder.held_bytes(), 0);
            shape::check(into, &out);
            let heard = hear(into, &[&out]);
            prop_assert!(heard.failure.is_none() && heard.has_ended);
            let mut told = as_heard_in(heard.said, into);
            let mut expected = as_heard_in(listener.said.clone(), into);
            // Whether a refusal is one is told by the finish where it is text; beside calls, the calls count.
            for said in [&mut told, &mut expected] {
                let text = said.choices.get(&0).map(|choice| choice.text.clone()).unwrap_or_default();
                said.choices.entry(0).or_default().text = sorted(&text);
            }
            prop_assert_eq!(told, expected, "{:?}\n{}", into, String::from_utf8_lossy(&out));
        }
    }
}

/// A refusal between texts keeps its place in one format and not in the other.
fn sorted(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    characters.sort_unstable();
    characters.into_iter().collect()
}
