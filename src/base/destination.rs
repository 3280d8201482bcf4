//! Where the gateway may connect to: URLs judged when they are written, addresses judged when they are resolved.
//!
//! Not a resolver and not a connector. Rule: one judgement for the check that reads a spec and for the dial that follows it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::uri::PathAndQuery;
use url::{Position, Url};

/// Which addresses a destination may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Policy {
    /// A public provider's own host: public addresses only, so that a poisoned name cannot lead into the private network.
    Public,
    /// A host that the spec's author named: private addresses too, metadata services still never.
    Named,
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A cloud's metadata service.
    Metadata,
    /// Link-local.
    LinkLocal,
    /// The unspecified address or its network.
    Unspecified,
    /// Multicast or broadcast.
    Multicast,
    /// Loopback, private, shared or reserved, where only public addresses are allowed.
    Private,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "a cloud metadata service",
            Self::LinkLocal => "a link-local address",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast or broadcast address",
            Self::Private => "a private address, although the host is a public provider's",
        })
    }
}

/// Metadata services outside the link-local range: Alibaba, Oracle, Azure's wire server.
const METADATA_V4: [Ipv4Addr; 3] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

impl Policy {
    /// Says whether `ip` may be dialled. An IPv6 address that carries an IPv4 one (mapped, compatible, NAT64, 6to4) is judged as that.
    ///
    /// # Errors
    /// The reason why not.
    pub fn judge(self, ip: IpAddr) -> Result<(), Refusal> {
        let private = match ip {
            IpAddr::V4(ip) => judge_v4(ip)?,
            IpAddr::V6(ip) => match carried_v4(ip) {
                Some(inner) => judge_v4(inner)?,
                None => judge_v6(ip)?,
            },
        };
        match self {
            Self::Public if private => Err(Refusal::Private),
            Self::Public | Self::Named => Ok(()),
        }
    }
}

/// Returns whether the address is private; refuses what nobody may dial.
fn judge_v4(ip: Ipv4Addr) -> Result<bool, Refusal> {
    let [a, b, c, _] = ip.octets();
    if METADATA_V4.contains(&ip) || ip == Ipv4Addr::new(169, 254, 169, 254) {
        return Err(Refusal::Metadata);
    }
    if ip.is_link_local() {
        return Err(Refusal::LinkLocal);
    }
    if a == 0 {
        return Err(Refusal::Unspecified);
    }
    if ip.is_multicast() || ip.is_broadcast() {
        return Err(Refusal::Multicast);
    }
    // 198.18/15 counts as public: resolvers of transparent proxies hand it out for every name, and nothing else lives there.
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    Ok(ip.is_loopback() || ip.is_private() || ip.is_documentation() || shared || protocol || a >= 240)
}

fn judge_v6(ip: Ipv6Addr) -> Result<bool, Refusal> {
    let [first, second, ..] = ip.segments();
    // AWS (fd00:ec2::/32) and Google (fd20:ce::254).
    if (first == 0xfd00 && second == 0x0ec2) || ip == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254) {
        return Err(Refusal::Metadata);
    }
    if first & 0xffc0 == 0xfe80 {
        return Err(Refusal::LinkLocal);
    }
    if ip.is_unspecified() {
        return Err(Refusal::Unspecified);
    }
    if ip.is_multicast() {
        return Err(Refusal::Multicast);
    }
    let unique_local = first & 0xfe00 == 0xfc00;
    let site_local = first & 0xffc0 == 0xfec0;
    let documentation = first == 0x2001 && second == 0x0db8;
    Ok(ip.is_loopback() || unique_local || site_local || documentation)
}

fn carried_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(join(high, low)),
        // Compatible form; `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0] if high != 0 || low > 1 => Some(join(high, low)),
        [0x2002, ..] => Some(join(b, c)),
        [0x64, 0xff9b, 1, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// Why a base URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Not a URL. Not echoed: what does not parse may be a key pasted in the wrong place.
    #[error("base_url is not an absolute URL such as `https://api.example.com/v1`")]
    NotAUrl,
    /// Another scheme.
    #[error("base_url must start with `http://` or `https://`, not `{0}:`")]
    Scheme(String),
    /// A password in the URL. Not echoed.
    #[error("base_url holds a user name or a password; keep secrets under `credentials`")]
    UserInfo,
    /// A query or a fragment.
    #[error("base_url ends in a query or a fragment; it is a prefix that paths are appended to")]
    Query,
    /// An address that nobody may dial.
    #[error("base_url leads to {0}, which the gateway never connects to")]
    Refused(Refusal),
    /// A path that climbs out of the base.
    #[error("the path leaves the base URL")]
    Path,
}

/// Scheme, host and port: where connections lead.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Name or address; an IPv6 address stands in brackets.
    host: String,
    /// Where it is not the scheme's own.
    port: Option<u16>,
}

impl Origin {
    /// Returns the name or address, without brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns `host` or `host:port`, as the `host` header has it.
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// Returns the origin's URL, with no path.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }
}

/// A provider's base URL, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    base: Url,
    policy: Policy,
}

impl Destination {
    /// Judges a base URL. `preset` is the base URL of the provider's preset, if it has one: where both name the same public host, the
    /// policy is [`Policy::Public`]; whatever the spec's author chose is [`Policy::Named`].
    ///
    /// # Errors
    /// [`DestinationError`] for anything but a plain `http(s)` prefix, and for addresses that nobody may dial.
    pub fn parse(base_url: &str, preset: Option<&str>) -> Result<Self, DestinationError> {
        let base = Url::parse(base_url).map_err(|_| DestinationError::NotAUrl)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(DestinationError::Scheme(base.scheme().to_owned()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(DestinationError::UserInfo);
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(DestinationError::Query);
        }
        let host = base.host_str().unwrap_or_default();
        if let Some(ip) = literal(host) {
            Policy::Named.judge(ip).map_err(DestinationError::Refused)?;
        }
        // Named here because behind a proxy the name is resolved by the proxy, out of our sight.
        if matches!(host.trim_end_matches('.'), "metadata.google.internal" | "metadata.goog") {
            return Err(DestinationError::Refused(Refusal::Metadata));
        }
        let preset = preset.and_then(|url| Url::parse(url).ok());
        let private = is_local(host) || literal(host).is_some_and(|ip| Policy::Public.judge(ip).is_err());
        let public = preset.is_some_and(|preset| preset.host_str() == Some(host)) && !private;
        Ok(Self { policy: if public { Policy::Public } else { Policy::Named }, base })
    }

    /// Returns the path of one endpoint at [`Destination::origin`]: `path` (with its leading slash) appended to the base's, and a query.
    ///
    /// # Errors
    /// [`DestinationError::Path`] when the path climbs out of the base, or is none.
    pub fn endpoint(&self, path: &str, query: Option<&str>) -> Result<PathAndQuery, DestinationError> {
        let prefix = self.base.path().trim_end_matches('/');
        let mut url = self.base.clone();
        url.set_path(&format!("{prefix}{path}"));
        url.set_query(query);
        let inside = url.path().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        let path = inside.then(|| PathAndQuery::try_from(&url[Position::BeforePath..Position::AfterQuery]).ok());
        path.flatten().ok_or(DestinationError::Path)
    }

    /// Returns where its connections lead.
    pub fn origin(&self) -> Origin {
        Origin { https: self.is_https(), host: self.base.host_str().unwrap_or_default().to_owned(), port: self.base.port() }
    }

    /// Returns which addresses are allowed.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Returns whether TLS is spoken.
    pub fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Returns whether the host is in a private network by its address or by a name that the internet does not have.
    pub fn is_internal(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        match literal(host) {
            Some(ip) => Policy::Public.judge(ip).is_err(),
            None => is_local(host) || is_internal_name(host),
        }
    }

    /// Returns whether the host is this machine by name or address; such a host is never reached through a proxy.
    pub fn is_local(&self) -> bool {
        self.base.host_str().is_some_and(is_local)
    }
}

/// A name without a dot, or under one of the domains that are reserved for private use (RFC 6762, RFC 8375, ICANN's `internal`) or that
/// clusters use for themselves.
fn is_internal_name(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.') || [".internal", ".local", ".home.arpa", ".lan", ".svc"].iter().any(|domain| name.ends_with(domain))
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_local(host: &str) -> bool {
    let name = host.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || literal(host).is_some_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(policy: Policy, ip: &str) -> Result<(), Refusal> {
        policy.judge(ip.parse().unwrap())
    }

    #[test]
    fn metadata_and_link_local_are_refused_under_every_policy_and_in_every_spelling() {
        for (ip, reason) in [
            ("169.254.169.254", Refusal::Metadata),
            ("::ffff:169.254.169.254", Refusal::Metadata),
            ("::169.254.169.254", Refusal::Metadata),
            ("64:ff9b::169.254.169.254", Refusal::Metadata),
            ("64:ff9b:1::169.254.169.254", Refusal::Metadata),
            ("2002:a9fe:a9fe::1", Refusal::Metadata),
            ("100.100.100.200", Refusal::Metadata),
            ("192.0.0.192", Refusal::Metadata),
            ("168.63.129.16", Refusal::Metadata),
            ("fd00:ec2::254", Refusal::Metadata),
            ("fd20:ce::254", Refusal::Metadata),
            ("169.254.170.2", Refusal::LinkLocal),
            ("fe80::1", Refusal::LinkLocal),
            ("febf::1", Refusal::LinkLocal),
            ("0.0.0.0", Refusal::Unspecified),
            ("0.1.2.3", Refusal::Unspecified),
            ("::", Refusal::Unspecified),
            ("::ffff:0.0.0.0", Refusal::Unspecified),
            ("224.0.0.1", Refusal::Multicast),
            ("255.255.255.255", Refusal::Multicast),
            ("ff02::1", Refusal::Multicast),
        ] {
            assert_eq!(judge(Policy::Named, ip), Err(reason), "{ip}");
            assert_eq!(judge(Policy::Public, ip), Err(reason), "{ip}");
        }
    }

    #[test]
    fn private_addresses_are_for_hosts_that_the_spec_names() {
        for ip in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.2.1",
            "240.0.0.1",
            "::1",
            "::ffff:10.0.0.1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "2001:db8::1",
        ] {
            assert_eq!(judge(Policy::Named, ip), Ok(()), "{ip}");
            assert_eq!(judge(Policy::Public, ip), Err(Refusal::Private), "{ip}");
        }
        for ip in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "198.18.0.5", "2606:4700::1", "64:ff9b::1.1.1.1", "2002:101:101::1"] {
            assert_eq!(judge(Policy::Public, ip), Ok(()), "{ip}");
        }
    }

    #[test]
    fn a_base_url_that_spells_a_metadata_address_is_refused_however_it_is_written() {
        for url in [
            "http://169.254.169.254/latest",
            "http://2852039166/",
            "http://0xA9FEA9FE/",
            "http://0251.0376.0251.0376/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fd00:ec2::254]/",
            "http://metadata.google.internal/",
            "http://Metadata.Google.Internal./v1",
        ] {
            assert_eq!(Destination::parse(url, None), Err(DestinationError::Refused(Refusal::Metadata)), "{url}");
        }
        assert_eq!(Destination::parse("http://0.0.0.0:80/", None), Err(DestinationError::Refused(Refusal::Unspecified)));
    }

    #[test]
    fn a_base_url_is_a_plain_prefix_and_its_error_never_repeats_a_secret() {
        let refused = |url: &str| Destination::parse(url, None).unwrap_err();
        assert_eq!(refused("file:///etc/passwd"), DestinationError::Scheme("file".to_owned()));
        assert_eq!(refused("https://user:canary@host/"), DestinationError::UserInfo);
        assert_eq!(refused("https://host/v1?key=canary"), DestinationError::Query);
        assert_eq!(refused("https://host/v1#x"), DestinationError::Query);
        assert_eq!(refused("http://user:pw@bad host/?canary"), DestinationError::NotAUrl);
        assert_eq!(refused("api.openai.com/v1"), DestinationError::NotAUrl);
    }

    #[test]
    fn only_a_presets_own_public_host_gets_the_public_policy() {
        let policy = |url, preset| Destination::parse(url, preset).unwrap().policy();
        let openai = Some("https://api.openai.com/v1");
        assert_eq!(policy("https://api.openai.com/v1", openai), Policy::Public);
        assert_eq!(policy("https://API.openai.com/v1/", openai), Policy::Public);
        assert_eq!(policy("https://proxy.internal/v1", openai), Policy::Named);
        assert_eq!(policy("https://api.openai.com/v1", None), Policy::Named);
        assert_eq!(policy("http://localhost:11434/v1", Some("http://localhost:11434/v1")), Policy::Named);
        assert_eq!(policy("http://127.0.0.1:11434/v1", Some("http://127.0.0.1:11434/v1")), Policy::Named);
    }

    #[test]
    fn an_endpoint_stays_under_its_base() {
        let base = Destination::parse("https://host:8443/openai/v1/", None).unwrap();
        assert_eq!(base.origin().url(), "https://host:8443");
        assert_eq!(base.endpoint("/chat/completions", None).unwrap(), "/openai/v1/chat/completions");
        assert_eq!(base.endpoint("/models/a%2Fb", Some("limit=1&after=a b")).unwrap(), "/openai/v1/models/a%2Fb?limit=1&after=a%20b");
        for path in ["/../admin", "/..", "/%2e%2e/admin", "/x/../../y", "/x\\..\\..\\..\\y"] {
            assert_eq!(base.endpoint(path, None), Err(DestinationError::Path), "{path}");
        }
        assert_eq!(Destination::parse("http://host", None).unwrap().endpoint("/v1", None).unwrap(), "/v1");
    }

    #[test]
    fn an_origin_leaves_out_the_port_of_its_scheme_and_names_a_host_without_brackets() {
        let origin = |url: &str| Destination::parse(url, None).unwrap().origin();
        assert_eq!(origin("https://Host:443/v1").authority(), "host");
        assert_eq!(origin("http://host:443/v1").authority(), "host:443");
        assert_eq!(
            (origin("http://[2001:db8::1]:80/v1").host(), origin("http://[2001:db8::1]:81").url().as_str()),
            ("2001:db8::1", "http://[2001:db8::1]:81")
        );
    }
}
