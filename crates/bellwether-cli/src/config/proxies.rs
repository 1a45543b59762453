//! The proxies before a pool of HTTP: who is trusted to say who a client is, and how it says so.

use bellwether::http::{Network, Proxies, ProxyHeaders};
use clap::Args;

use super::rules::Problem;
use super::settings::PoolSettings;
use super::written::{Switch, Value, Written, read_as};

/// The keys of a pool about the proxies before it, as flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProxyFlags {
    /// Trusts proxies of these networks to say for whom they ask, repeatable, or several with
    /// commas.
    ///
    /// An address, a network (10.0.0.0/8, 2001:db8::/32), loopback, private (RFC 1918 and 4193) or
    /// unix (whoever may connect to a Unix socket). How they say it: --proxy-protocol,
    /// --proxy-headers. Nobody else is believed.
    #[arg(long, value_name = "NETWORK,...", value_delimiter = ',', help_heading = PROXIES)]
    trust: Vec<Written<Network>>,

    /// Connections from trusted networks begin with a PROXY header (version 1 or 2), also before
    /// TLS; without one they are closed.
    #[arg(long, help_heading = PROXIES)]
    proxy_protocol: bool,

    /// Which headers of requests from trusted networks are believed: forwarded (RFC 7239),
    /// x-forwarded (-For, -Proto, -Host) or none [default: none].
    #[arg(long, value_name = "KIND", help_heading = PROXIES)]
    proxy_headers: Option<Written<ProxyHeaders>>,
}

const PROXIES: &str = "Behind a proxy";

impl ProxyFlags {
    /// The settings that a file with the same settings would give.
    pub(crate) fn added_to(&self, pool: PoolSettings) -> PoolSettings {
        PoolSettings {
            trust: self.trust.clone(),
            proxy_protocol: self.proxy_protocol.then_some(Written(Switch(true))),
            proxy_headers: self.proxy_headers,
            ..pool
        }
    }
}

/// The library's proxies for these settings; `None` where nobody is trusted.
pub(super) fn proxies(pool: &PoolSettings) -> Option<Proxies> {
    if pool.trust.is_empty() {
        return None;
    }
    let trusting = Proxies::trusting(pool.trust.iter().map(|Written(network)| *network));
    let proxies = trusting.headers(believed(pool));
    Some(if speak_first(pool) { proxies.protocol() } else { proxies })
}

fn believed(pool: &PoolSettings) -> ProxyHeaders {
    pool.proxy_headers.map_or(ProxyHeaders::Nothing, |it| it.0)
}

fn speak_first(pool: &PoolSettings) -> bool {
    pool.proxy_protocol.is_some_and(|it| it.0.0)
}

/// What is said about proxies that nobody trusts, that say nothing, or that a program hears.
pub(super) fn about_proxies(pool: &PoolSettings) -> Option<Problem> {
    let says = [
        ("proxy-protocol", speak_first(pool)),
        ("proxy-headers", believed(pool) != ProxyHeaders::Nothing),
    ];
    let problem = |key, beside: &str, message: &str, hint: &str| {
        let keys = vec![(key, beside.into())];
        Some(Problem { keys, message: format!("{key}: {message}"), hint: hint.into() })
    };
    let trusts = ("trust", !pool.trust.is_empty());
    let given = [trusts].into_iter().chain(says).find(|(_, given)| *given);
    if let Some((key, _)) = given.filter(|_| !pool.command.is_empty()) {
        let hint = "leave it out, and let the program judge them (docs/behind-a-proxy.md)";
        return problem(
            key,
            "heard by the program alone",
            "proxies of a program are heard by it alone",
            hint,
        );
    }
    let said = says.into_iter().find(|(_, given)| *given);
    match (trusts.1, said) {
        (false, Some((key, _))) => problem(
            key,
            "of whom?",
            "nobody is trusted to say for whom it asks",
            "add trust, the networks of the proxies",
        ),
        (true, None) => problem(
            "trust",
            "in what?",
            "nothing that these networks say is believed",
            "add proxy-protocol or proxy-headers, as the proxy does it",
        ),
        _ => None,
    }
}

impl Value for Network {
    const FORM: &'static str =
        "a network such as \"10.0.0.0/8\", \"192.0.2.1\", \"loopback\", \"private\" or \"unix\"";
    const PATTERN: &'static str = "^(loopback|private|unix|[0-9a-fA-F.:]+(/[0-9]{1,3})?)$";

    fn read(text: &str) -> Result<Self, String> {
        read_as(text)
    }
}

impl Value for ProxyHeaders {
    const FORM: &'static str = "\"forwarded\", \"x-forwarded\" or \"none\"";
    const PATTERN: &'static str = "^(forwarded|x-forwarded|none)$";

    fn read(text: &str) -> Result<Self, String> {
        read_as(text)
    }
}
