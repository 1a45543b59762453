//! Which forms of content clients accept.

use http::header::{ACCEPT_ENCODING, HeaderMap};

/// A form in which text is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// At the levels that we choose the cheapest first; all come to about the same size.
    const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Brotli];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The one that a client likes best; `None` where it likes text as it is best, or says nothing.
    pub(super) fn best(asked: &HeaderMap) -> Option<Self> {
        let liked = Self::ALL.map(|it| (it, weight(asked, it.name()).unwrap_or_default()));
        let most = liked.iter().map(|(_, weight)| *weight).fold(0.0, f32::max);
        // That text as it is will do needs not be said, and means little if it is not.
        let plain = named(asked, "identity").unwrap_or_default();
        let first = liked.into_iter().find(|(_, weight)| *weight == most);
        first.map(|(coding, _)| coding).filter(|_| most > 0.0 && most >= plain)
    }
}

/// How much a client likes a form, 0 to 1 (RFC 9110, 12.4.2); `*` are those that it does not name.
fn weight(asked: &HeaderMap, name: &str) -> Option<f32> {
    named(asked, name).or_else(|| named(asked, "*"))
}

fn named(asked: &HeaderMap, name: &str) -> Option<f32> {
    let values = asked.get_all(ACCEPT_ENCODING).into_iter().filter_map(|it| it.to_str().ok());
    let is_it = |coding: &str| coding.trim().eq_ignore_ascii_case(name);
    values.flat_map(|value| value.split(',')).find_map(|entry| {
        let (coding, rest) = entry.split_once(';').unwrap_or((entry, ""));
        is_it(coding).then(|| quality(rest.trim()))
    })
}

fn quality(parameter: &str) -> f32 {
    if parameter.is_empty() {
        return 1.0;
    }
    let value = parameter.strip_prefix(['q', 'Q']).and_then(|it| it.strip_prefix('='));
    let value = value.and_then(|it| it.parse().ok()).filter(|it| (0.0..=1.0).contains(it));
    // What cannot be read is better not sent.
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_client_s_liking_counts_then_ours() {
        let check = |accepted: &'static str, expected: &str| {
            let asked = [(ACCEPT_ENCODING, HeaderValue::from_static(accepted))];
            let best = Coding::best(&HeaderMap::from_iter(asked)).map_or("", Coding::name);
            assert_eq!(best, expected, "{accepted}");
        };
        check("gzip, deflate, br, zstd", "zstd");
        check("gzip, deflate, br", "gzip");
        check("gzip;q=0.9, br", "br");
        check("gzip", "gzip");
        check("GZIP;q=1.0", "gzip");
        check("gzip;q=1, br;q=0.5, zstd;q=0", "gzip");
        check("*", "zstd");
        check("*;q=0.1, gzip", "gzip");
        check("zstd;q=0, *", "gzip");
        check("gzip;q=0.5, identity", "");
        check("gzip;q=0.5, identity;q=0.1", "gzip");
        check("gzip;q=0", "");
        check("gzip;q=high", "");
        check("gzip;q=nan", "");
        check("gzip;q=2", "");
        check("deflate, identity", "");
        check("gzipped", "");
        check("", "");
        assert_eq!(Coding::best(&HeaderMap::new()), None);
    }
}
