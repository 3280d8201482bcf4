//! The embedded catalogue, and the way from a provider and a model of a spec to what is known of them.
//!
//! Rule: a price is that of whoever serves. A preset with another address is another server, and has no prices until the spec says
//! whose they are.

use std::sync::{Arc, OnceLock};

use super::entry::{Capacity, Entry, Source, Vendor};
use super::meter::{Meter, Rates};
use super::price_list::PriceList;
use super::text::{Catalogue, read};
use super::{RateCard, Sheet, preset};
use crate::base::Rate;

const DATA: &str = include_str!("data.txt");

/// Hosts of vendors that no preset has.
const HOSTS: [(&str, &str); 19] = [
    ("api.ai21.com", "ai21"),
    ("api.arcee.ai", "arcee"),
    ("api.avian.io", "avian"),
    ("api.deepinfra.com", "deepinfra"),
    ("api.friendli.ai", "friendliai"),
    ("api.hyperbolic.xyz", "hyperbolic"),
    ("api.inceptionlabs.ai", "inception"),
    ("api.lambda.ai", "lambda"),
    ("api.minimax.io", "minimax"),
    ("api.morphllm.com", "morph"),
    ("api.novita.ai", "novita"),
    ("api.quicksilverpro.io", "quicksilverpro"),
    ("api.sambanova.ai", "sambanova"),
    ("api.scaleway.ai", "scaleway"),
    ("api.studio.nebius.com", "nebius"),
    ("api.tokenfactory.nebius.com", "nebius"),
    ("inference.api.nscale.com", "nscale"),
    ("inference.baseten.co", "baseten"),
    ("oai.endpoints.kepler.ai.cloud.ovh.net", "ovhcloud"),
];

/// What a spec says of a provider, as far as prices depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Server<'s> {
    /// The preset.
    pub preset: Option<&'s str>,
    /// Root of its API.
    pub base_url: &'s str,
    /// The Google Cloud location.
    pub location: Option<&'s str>,
}

/// What is known of a model where it is served.
#[derive(Debug, Clone)]
pub struct Known {
    /// The vendor, whose prices they are.
    pub vendor: &'static str,
    /// The entry.
    pub entry: &'static Entry,
    /// What it costs there; none where nobody says.
    pub prices: Option<Arc<PriceList>>,
}

/// Returns the embedded catalogue. Read at the first call (a few milliseconds), then shared.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    // The embedded file is fixed at build time and a test reads it, so the default is never seen in a tested build.
    CATALOGUE.get_or_init(|| read(DATA).unwrap_or_default())
}

/// Returns the catalogue's sources.
pub fn sources() -> &'static [Source] {
    &catalogue().sources
}

/// Returns a vendor of the catalogue.
pub fn vendor(name: &str) -> Option<(&'static str, &'static Vendor)> {
    catalogue().vendors.get_key_value(name).map(|(name, vendor)| (name.as_str(), vendor))
}

/// Returns what is known of a model of a vendor's: `openai`, `gpt-4o`.
pub fn model(vendor_name: &str, model: &str) -> Option<Known> {
    let (name, vendor) = vendor(vendor_name)?;
    let entry = vendor.find(plain(name, model)?)?;
    Some(Known { vendor: name, entry, prices: vendor.prices(entry) })
}

/// Returns the vendor that serves; none where it is not certain.
pub fn vendor_of(server: Server<'_>) -> Option<&'static str> {
    let url = server.base_url.trim_end_matches('/');
    let host = host(url)?;
    let Some(preset) = server.preset.and_then(preset) else {
        return HOSTS.iter().find(|(known, _)| *known == host).map(|(_, vendor)| *vendor);
    };
    let is_own = match &preset.base_url {
        Some(own) => self::host(own).is_some_and(|own| own == host),
        None => CLOUDS.iter().any(|cloud| host.ends_with(cloud)),
    };
    preset.prices.as_deref().filter(|_| is_own)
}

/// Ends of the hosts of clouds, which have one for each region.
const CLOUDS: [&str; 3] = [".amazonaws.com", ".api.aws", "aiplatform.googleapis.com"];

/// Returns what is known of a model where a provider serves it. Its price is that of the place: what is dearer in one region only than
/// everywhere is so there.
pub fn known(server: Server<'_>, model: &str) -> Option<Known> {
    let mut known = self::model(vendor_of(server)?, model)?;
    let is_regional = server.location.is_some_and(|location| location != "global");
    if let Some(percent) = known.entry.regional_percent.filter(|_| is_regional) {
        known.prices = known.prices.map(|prices| Arc::new(prices.scaled(percent)));
    }
    Some(known)
}

/// Returns the prices and the capacity of a model where a provider serves it.
pub(super) fn terms_of(server: Server<'_>, model: &str) -> (Option<Arc<PriceList>>, Capacity) {
    if server.base_url == "mock:" {
        return (Some(Arc::new(PriceList::always(free()))), Capacity::default());
    }
    known(server, model).map_or((None, Capacity::default()), |known| (known.prices, known.entry.capacity))
}

/// Returns the card of what costs nothing.
pub fn free() -> RateCard {
    let mut base = Rates::default();
    base.set(Meter::Request, Rate::ZERO);
    RateCard { standard: Sheet { base, steps: Vec::new() }, ..RateCard::default() }
}

fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty() && !host.contains('@'))
}

/// Returns the name of a model without where it is kept; none where it is somebody's own, whose price nobody publishes.
fn plain<'m>(vendor: &str, model: &'m str) -> Option<&'m str> {
    match vendor {
        // `arn:aws:bedrock:REGION:ACCOUNT:KIND/NAME`. Profiles, imports and provisioned throughput of an account have ids of their own.
        "aws" if model.starts_with("arn:") => {
            let (kind, name) = model.split_once('/')?;
            [":foundation-model", ":inference-profile"].iter().any(|known| kind.ends_with(known)).then_some(name)
        }
        "google" => match model.rsplit_once("models/") {
            Some((place, name)) => {
                (place.is_empty() || ["publishers/google/", "publishers/anthropic/"].iter().any(|own| place.ends_with(own))).then_some(name)
            }
            None if model.contains("endpoints/") => None,
            None => Some(model),
        },
        _ => Some(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::{Tier, Usage};

    fn nano(vendor: &str, name: &str, unix_ms: u64) -> Option<i64> {
        let million = Usage { input: 1_000, output: 1_000, ..Usage::default() };
        Some(model(vendor, name)?.prices?.at(unix_ms)?.cost(&million, Tier::Standard).nano())
    }

    const NOW: u64 = 1_795_600_000_000;

    #[test]
    fn the_embedded_file_is_read_and_says_where_it_comes_from() {
        let read = read(DATA).unwrap();
        assert_eq!(super::super::text::write(&read), DATA);
        assert!(sources().iter().all(|source| source.sha256.len() == 64 && !source.version.is_empty()), "{:?}", sources());
        assert!(read.vendors.values().map(|vendor| vendor.entries.len()).sum::<usize>() > 3_000);
        for preset in super::super::presets().values() {
            assert!(preset.prices.as_deref().is_none_or(|vendor| read.vendors.contains_key(vendor)), "{:?}", preset.prices);
        }
        for entry in read.vendors.values().flat_map(|vendor| &vendor.entries) {
            assert!(entry.capabilities.iter().all(|word| super::super::CAPABILITIES.contains(&word.as_str())), "{}", entry.id);
        }
    }

    #[test]
    fn a_model_is_found_by_the_names_that_requests_use() {
        assert_eq!(nano("openai", "gpt-4o", NOW), Some(12_500_000));
        for (vendor, same) in [
            ("openai", ["gpt-4o", "gpt-4o-2024-11-20", "GPT-4o-20241120"]),
            (
                "aws",
                ["amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0"],
            ),
            ("google", ["gemini-2.5-pro", "models/gemini-2.5-pro", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro"]),
            ("anthropic", ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5@20250929"]),
        ] {
            let costs = same.map(|name| nano(vendor, name, NOW));
            assert!(costs[0].is_some() && costs.iter().all(|cost| *cost == costs[0]), "{same:?}: {costs:?}");
        }
        assert!(nano("openrouter", "openai/gpt-4o", NOW).is_some());
        assert_eq!(nano("openai", "omni-moderation-latest", NOW), Some(0));
        assert_ne!(nano("openai", "ft:gpt-4o-mini-2024-07-18:acme::x1", NOW), nano("openai", "gpt-4o-mini", NOW));
        assert!(nano("aws", "eu.amazon.nova-pro-v1:0", NOW) > nano("aws", "amazon.nova-pro-v1:0", NOW));
    }

    #[test]
    fn what_is_not_certain_has_no_price() {
        for (vendor, name) in [
            ("openai", "gpt-4o-with-something-new"),
            ("openai", "my-gpt-4o"),
            ("openai", "ft:gpt-7:acme::x1"),
            ("aws", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"),
            ("aws", "arn:aws:bedrock:us-east-1:123456789012:imported-model/claude-3-haiku-20240307"),
            ("google", "projects/p/locations/l/endpoints/123"),
            ("google", "gemini-2.5-pro-tts-new"),
            ("nobody", "gpt-4o"),
            ("openai", &"gpt-4o".repeat(1_000_000)),
        ] {
            assert_eq!(nano(vendor, name, NOW), None, "{vendor}/{name}");
        }
    }

    #[test]
    fn a_price_is_that_of_whoever_serves() {
        let openai = |base_url| vendor_of(Server { preset: Some("openai"), base_url, location: None });
        assert_eq!(openai("https://api.openai.com/v1"), Some("openai"));
        for other in ["http://127.0.0.1:8000/v1", "https://api.openai.com.evil.example/v1", "https://eu.api.openai.com/v1"] {
            assert_eq!(openai(other), None, "{other}");
        }
        let bare = |base_url| vendor_of(Server { preset: None, base_url, location: None });
        assert_eq!(bare("https://api.novita.ai/v3/openai"), Some("novita"));
        assert_eq!([bare("https://api.openai.com/v1"), bare("https://x@api.novita.ai/v1")], [None, None]);
        assert!(HOSTS.iter().all(|(_, name)| vendor(name).is_some()), "{HOSTS:?}");
        let azure = Server { preset: Some("azure"), base_url: "https://r.openai.azure.com/openai/v1", location: None };
        assert_eq!(vendor_of(azure), None);
    }

    #[test]
    fn what_is_dearer_in_one_region_only_is_so_there() {
        let cost = |location| {
            let server =
                Server { preset: Some("vertex-anthropic"), base_url: "https://europe-west1-aiplatform.googleapis.com/v1", location };
            let (prices, capacity) = terms_of(server, "claude-sonnet-4-5@20250929");
            assert_eq!(capacity.output, Some(64_000));
            let usage = Usage { input: 10, output: 1, ..Usage::default() };
            prices.unwrap().at(NOW).unwrap().cost(&usage, Tier::Standard).nano()
        };
        assert_eq!([cost(Some("global")), cost(Some("europe-west1"))], [45_000, 49_500]);
    }
}
