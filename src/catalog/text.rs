//! The catalogue's file: one line per fact, so that a new version of it can be read as a diff.
//!
//! ```text
//! # genai-prices 0.2.1 read 2026-11-25 sha256 7f…      a source
//! + openai                                             a vendor
//! gpt-4o =gpt-4o =gpt-4o-2024-08-06                    a model, and the names that requests use for it
//!  l 128000 16384                                      what fits into it and comes out of it; `-` where they are not known
//!  k tools vision                                      what it can do
//!  x 2026-11-30                                        the day from which it may be gone
//!  r 110                                               what it costs in one region only, in hundredths of its price
//!  m 10000                                             the least milliseconds of sound that are paid for
//!  = gpt-4o                                            it costs what that one costs
//!  g input=2.5 output=10 cache_read=1.25>200000:2.5    its price, by genai-prices (g) or litellm (l$): dollars per unit
//!  g batch @2026-10-14 input=1.25                      what of it is different in a tier, and from which day on
//!  g %01:00-04:00 input=5                              and between which hours
//! ```
//!
//! Rule: whatever is written is read back the same, and a line that cannot be read is an error, never skipped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::entry::{Capacity, Entry, Origin, Source, Vendor};
use super::meter::Meter;
use super::row::{Row, Tiered};
use super::term::Term;
use crate::base::Rate;
use crate::wire::ir::Tier;

/// Everything that the file says.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Where it comes from.
    pub sources: Vec<Source>,
    /// Vendors by name.
    pub vendors: BTreeMap<String, Vendor>,
}

/// A line that is not what the file's form says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadLine {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Reads the file.
///
/// # Errors
/// [`BadLine`], the first one.
pub fn read(text: &str) -> Result<Catalogue, BadLine> {
    let mut catalogue = Catalogue::default();
    let mut vendor: Option<String> = None;
    let mut entry: Option<Entry> = None;
    for (index, line) in text.lines().enumerate() {
        let bad = |what| BadLine { line: index + 1, what };
        if let Some(fact) = line.strip_prefix(' ') {
            let entry = entry.as_mut().ok_or(bad("a fact stands before the first model"))?;
            self::fact(entry, fact).ok_or(bad("a fact cannot be read"))?;
            continue;
        }
        if let Some(done) = entry.take() {
            push(&mut catalogue, vendor.as_ref(), done).ok_or(bad("a model stands before the first vendor"))?;
        }
        if let Some(source) = line.strip_prefix("# ") {
            catalogue.sources.push(self::source(source).ok_or(bad("a source cannot be read"))?);
        } else if let Some(name) = line.strip_prefix("+ ") {
            catalogue.vendors.insert(name.to_owned(), Vendor::default());
            vendor = Some(name.to_owned());
        } else {
            entry = Some(model(line).ok_or(bad("a model cannot be read"))?);
        }
    }
    if let Some(done) = entry {
        push(&mut catalogue, vendor.as_ref(), done).ok_or(BadLine { line: 0, what: "a model stands before the first vendor" })?;
    }
    Ok(catalogue)
}

fn push(catalogue: &mut Catalogue, vendor: Option<&String>, entry: Entry) -> Option<()> {
    catalogue.vendors.get_mut(vendor?)?.push(entry);
    Some(())
}

fn source(line: &str) -> Option<Source> {
    let mut words = line.split(' ').map(str::to_owned);
    let (name, version) = (words.next()?, words.next()?);
    let read = words.next().filter(|word| word == "read").and_then(|_| words.next())?;
    let sha256 = words.next().filter(|word| word == "sha256").and_then(|_| words.next())?;
    words.next().is_none().then_some(Source { name, version, read, sha256 })
}

fn model(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let id = words.next().filter(|id| !id.is_empty())?.to_owned();
    let terms = words.map(Term::parse).collect::<Option<Vec<_>>>()?;
    Some(Entry { id, terms, ..Entry::default() })
}

fn fact(entry: &mut Entry, line: &str) -> Option<()> {
    let (sign, rest) = line.split_once(' ')?;
    match sign {
        "l" => {
            let count = |word: &str| if word == "-" { Some(None) } else { word.parse().ok().map(Some) };
            let (input, output) = rest.split_once(' ')?;
            entry.capacity = Capacity { input: count(input)?, output: count(output)? };
        }
        "k" => entry.capabilities = rest.split(' ').map(str::to_owned).collect(),
        "x" => entry.retires = Some(rest.parse::<Date>().ok()?.to_string()),
        "r" => entry.regional_percent = Some(rest.parse().ok()?),
        "m" => entry.least_audio_ms = rest.parse().ok()?,
        "=" => entry.priced_as = Some(rest.to_owned()),
        "g" | "l$" => {
            entry.origin = Some(if sign == "g" { Origin::GenaiPrices } else { Origin::Litellm });
            entry.rows.push(row(rest)?);
        }
        _ => return None,
    }
    Some(())
}

fn row(line: &str) -> Option<Row> {
    let mut row = Row::default();
    for word in line.split(' ') {
        if let Some(date) = word.strip_prefix('@') {
            row.from_ms = Some(day_ms(date)?);
        } else if let Some(hours) = word.strip_prefix('%') {
            let (from, until) = hours.split_once('-')?;
            row.hours = Some((second(from)?, second(until)?));
        } else if let Some((meter, rate)) = word.split_once('=') {
            let meter = Meter::by_name(meter)?;
            row.rates.insert(meter, tiered(meter, rate)?);
        } else {
            row.tier = Tier::ALL.into_iter().find(|tier| tier.as_str() == word)?;
        }
    }
    Some(row)
}

fn tiered(meter: Meter, text: &str) -> Option<Tiered> {
    let mut parts = text.split('>');
    let rate = |text: &str| Rate::parse(text, meter.units());
    let base = rate(parts.next()?)?;
    let step = |part: &str| {
        let (above, dollars) = part.split_once(':')?;
        Some((above.parse().ok()?, rate(dollars)?))
    };
    Some(Tiered { base, above: parts.map(step).collect::<Option<_>>()? })
}

/// Returns the Unix millisecond at which a day begins (UTC); none where it is no day, or before 1970.
pub fn day_ms(date: &str) -> Option<u64> {
    let begins: jiff::Timestamp = format!("{}T00:00:00Z", date.parse::<Date>().ok()?).parse().ok()?;
    u64::try_from(begins.as_millisecond()).ok()
}

/// Returns the day of a Unix millisecond (UTC).
pub fn day_of(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| TimeZone::UTC.to_datetime(at).date().to_string())
}

fn second(time: &str) -> Option<u32> {
    let time: Time = format!("{time}:00").parse().ok()?;
    u32::try_from(i32::from(time.hour()) * 3_600 + i32::from(time.minute()) * 60).ok()
}

/// Writes the file.
pub fn write(catalogue: &Catalogue) -> String {
    let mut out = String::new();
    for Source { name, version, read, sha256 } in &catalogue.sources {
        let _ = writeln!(out, "# {name} {version} read {read} sha256 {sha256}");
    }
    for (name, vendor) in &catalogue.vendors {
        let _ = writeln!(out, "+ {name}");
        vendor.entries.iter().for_each(|entry| write_entry(&mut out, entry));
    }
    out
}

fn write_entry(out: &mut String, entry: &Entry) {
    out.push_str(&entry.id);
    for term in &entry.terms {
        let _ = write!(out, " {term}");
    }
    out.push('\n');
    let Capacity { input, output } = entry.capacity;
    if input.is_some() || output.is_some() {
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let _ = writeln!(out, " l {} {}", count(input), count(output));
    }
    if !entry.capabilities.is_empty() {
        let _ = writeln!(out, " k {}", entry.capabilities.join(" "));
    }
    if let Some(day) = &entry.retires {
        let _ = writeln!(out, " x {day}");
    }
    if let Some(percent) = &entry.regional_percent {
        let _ = writeln!(out, " r {percent}");
    }
    if entry.least_audio_ms > 0 {
        let _ = writeln!(out, " m {}", entry.least_audio_ms);
    }
    if let Some(id) = &entry.priced_as {
        let _ = writeln!(out, " = {id}");
    }
    let sign = match entry.origin {
        Some(Origin::Litellm) => "l$",
        Some(Origin::GenaiPrices) | None => "g",
    };
    for row in &entry.rows {
        let _ = writeln!(out, " {sign} {}", written(row));
    }
}

/// Writes one price as a line of the file has it.
pub fn written(row: &Row) -> String {
    let mut words = Vec::new();
    if row.tier != Tier::Standard {
        words.push(row.tier.as_str().to_owned());
    }
    words.extend(row.from_ms.map(|from| format!("@{}", day_of(from))));
    words.extend(row.hours.map(|(from, until)| format!("%{}-{}", clock(from), clock(until))));
    for (meter, rate) in &row.rates {
        let mut word = format!("{}={}", meter.name(), rate.base.dollars(meter.units()));
        for (above, rate) in &rate.above {
            let _ = write!(word, ">{above}:{}", rate.dollars(meter.units()));
        }
        words.push(word);
    }
    words.join(" ")
}

/// Writes a second of the day as `16:30`.
pub fn clock(second: u32) -> String {
    format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# genai-prices 0.2.1 read 2026-11-25 sha256 7f
+ openai
gpt-4o =gpt-4o ^gpt-4o-2024- $x ~y
 l 128000 -
 k tools vision
 x 2026-11-30
 r 110
 m 10000
 g input=2.5 output=10 cache_read=1.25>200000:2.5>300000:3
 g batch @2026-10-14 input=1.25
 g %01:00-16:30 input=5
other =other
 = gpt-4o
+ x
y =y
 l$ request=0.000000000001
";

    #[test]
    fn what_is_written_is_what_was_read() {
        let catalogue = read(FILE).unwrap();
        assert_eq!(write(&catalogue), FILE);
        let vendor = catalogue.vendors.get("openai").unwrap();
        assert_eq!(vendor.find("GPT-4o").unwrap().rows.len(), 3);
        assert_eq!(vendor.prices(vendor.find("other").unwrap()), vendor.prices(vendor.find("gpt-4o").unwrap()));
        assert!(vendor.prices(vendor.find("other").unwrap()).is_some());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error() {
        for bad in [
            " g input=1",
            "m =m",
            "+ v\nm =m\n g input",
            "+ v\nm =m\n g input=x",
            "+ v\nm =m\n g inputs=1",
            "+ v\nm =m\n g input=1>5",
            "+ v\nm =m\n g @2026-13-01 input=1",
            "+ v\nm =m\n z 1",
            "+ v\nm m",
            "# x",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
