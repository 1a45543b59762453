//! Which certificate a client gets: by the name that it asks for, and by what it can use.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// A certificate with its key, and the names for which it is.
#[derive(Debug)]
pub(super) struct Certified {
    pub(super) key: Arc<CertifiedKey>,
    names: Vec<String>,
}

impl Certified {
    pub(super) fn of(key: CertifiedKey) -> Result<Self, webpki::Error> {
        let names = match key.cert.first() {
            Some(certificate) => {
                EndEntityCert::try_from(certificate)?.valid_dns_names().map(String::from).collect()
            }
            None => Vec::new(),
        };
        Ok(Self { key: Arc::new(key), names })
    }
}

/// All certificates of a server, in the order in which they were given; there is one at least.
pub(super) struct Certificates(pub(super) Vec<Certified>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|it| &it.names)).finish()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |it: &Certified| it.key.key.choose_scheme(hello.signature_schemes()).is_some();
        let index =
            choice(self.0.iter().map(|it| (&it.names[..], usable(it))), hello.server_name());
        self.0.get(index?).map(|it| Arc::clone(&it.key))
    }
}

/// How well a certificate fits to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    NotAtAll,
    ByWildcard,
    Exactly,
}

impl Fit {
    fn of(pattern: &str, name: &str) -> Self {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        match (pattern.strip_prefix("*."), parent) {
            // One label and no more (RFC 9525, 6.3).
            (Some(rest), Some(parent)) if rest.eq_ignore_ascii_case(parent) => Self::ByWildcard,
            (None, _) if pattern.eq_ignore_ascii_case(name) => Self::Exactly,
            _ => Self::NotAtAll,
        }
    }
}

/// Chooses one of several certificates by their names and whether the client can use them: the
/// best fit, of these one that it can use, of these the first.
fn choice<'c>(
    certificates: impl Iterator<Item = (&'c [String], bool)>,
    name: Option<&str>,
) -> Option<usize> {
    let fit = |names: &[String]| {
        let fits = names.iter().map(|pattern| Fit::of(pattern, name.unwrap_or_default()));
        fits.max().unwrap_or(Fit::NotAtAll)
    };
    let ranked = certificates.map(|(names, usable)| (Reverse(fit(names)), !usable)).enumerate();
    ranked.min_by_key(|(_, rank)| *rank).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_fit_is_chosen_then_what_can_be_used_then_the_first() {
        let check = |certificates: &[(&[&str], bool)], name: Option<&str>, expected: usize| {
            let owned = |(names, usable): &(&[&str], bool)| -> (Vec<String>, bool) {
                (names.iter().map(ToString::to_string).collect(), *usable)
            };
            let owned: Vec<_> = certificates.iter().map(owned).collect();
            let found = choice(owned.iter().map(|(names, usable)| (&names[..], *usable)), name);
            assert_eq!(found, Some(expected), "{certificates:?} {name:?}");
        };
        let shop: &[&str] = &["shop.example", "www.shop.example"];
        let wild: &[&str] = &["*.example"];
        check(&[(shop, true), (wild, true)], Some("shop.example"), 0);
        check(&[(wild, true), (shop, true)], Some("shop.example"), 1);
        check(&[(shop, true), (wild, true)], Some("BLOG.example"), 1);
        check(&[(shop, true), (wild, true)], Some("a.blog.example"), 0);
        check(&[(shop, true), (wild, true)], Some("example"), 0);
        check(&[(shop, true), (wild, true)], None, 0);
        check(&[(&[], true), (&[""], true)], None, 1);
        check(&[(shop, false), (shop, true)], Some("shop.example"), 1);
        check(&[(shop, false), (wild, true)], Some("shop.example"), 0);
        check(&[(shop, false), (wild, true)], None, 1);
    }
}
