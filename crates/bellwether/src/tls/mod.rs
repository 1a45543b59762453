//! TLS for what speaks HTTP: certificates from files, by rustls.
//!
//! A [`Tls`] knows the files and has looked at them ([`files`], [`key`], [`expiry`]); it keeps no key. Each
//! template reads them anew and makes of them what its handlers share: certificates by the names
//! that clients ask for ([`names`]), and tickets that every handler understands ([`tickets`]).

mod expiry;
mod files;
mod key;
mod names;
mod tickets;

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;

use crate::error::{Doing, Error, Result};
use crate::sys::clock;
use crate::sys::secret::Secret;
use files::Pair;
use names::{Certificates, Certified};
use tickets::Tickets;

/// What is spoken over TLS, best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Certificates with their keys, by which a server speaks TLS 1.2 and 1.3.
///
/// Given to [`Builder::tls`](crate::Builder::tls). A client gets the certificate whose names match
/// the one it asks for (SNI; a `*.` stands for one label), the better match before the earlier
/// certificate, else the first. Of two for the same name (ECDSA and RSA) it gets the first that it
/// can use. ALPN offers `h2` and `http/1.1`.
///
/// The files are PEM: the certificate first and then those of its issuers; the key as PKCS #8,
/// PKCS #1 or SEC 1, without a pass phrase. They are read here, so that a mistake is told before
/// anything is opened, and again at each reload by the new template, never by a handler; a reload
/// that finds them broken fails, and the handlers with the certificates from before serve on.
///
/// A client that comes back resumes its session with whichever handler it finds (RFC 8446, 2.2;
/// RFC 5077): all have the same ticket keys, which change every 6 h; a ticket lasts at least 12 h
/// and at most 18 h, through reloads and upgrades, but not through a restart. Early data (0-RTT), which could be
/// replayed, is off.
///
/// ```no_run
/// use bellwether::{Server, Tls};
///
/// let tls = Tls::new("/etc/ssl/shop.pem", "/etc/ssl/private/shop.key")?
///     .also("/etc/ssl/blog.pem", "/etc/ssl/private/blog.key")?;
/// let server = Server::builder().listen(":443").tls(tls).open()?;
/// # Ok::<(), bellwether::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tls {
    pairs: Vec<Pair>,
    /// From which the keys of tickets are made.
    secret: Secret,
    /// What is to be said about the certificates when the server is opened, and not again.
    warnings: Vec<String>,
}

impl Tls {
    /// Reads a certificate with its chain, and its key.
    ///
    /// A certificate that has expired, or is not valid yet, is a warning in the log when the server
    /// is opened or reloaded.
    ///
    /// # Errors
    /// [`Error::Configure`], naming the file, when one cannot be read or holds something else, when
    /// the key is not that of the certificate, or when more people may read the key than should:
    /// only its owner may write it, and beside the owner only its group may read it (mode 600 or
    /// 640: that of `root:ssl-cert` is such a file).
    pub fn new(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let secret = Secret::random().doing("make a secret for session tickets")?;
        Self { pairs: Vec::new(), secret, warnings: Vec::new() }.also(certificate, key)
    }

    /// Adds a certificate with its chain, and its key, for more names.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn also(mut self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let pair = Pair::at(certificate.as_ref(), key.as_ref())?;
        self.warnings.extend(warning(&pair, &pair.read()?));
        self.pairs.push(pair);
        Ok(self)
    }

    /// Says what clients may dislike.
    pub(crate) fn warn(&self) {
        self.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    }

    /// Reads all files anew, for the handlers to come.
    pub(crate) fn load(&self) -> Result<Arc<ServerConfig>> {
        let certified = self.pairs.iter().map(|pair| self.load_one(pair));
        let certificates = Certificates(certified.collect::<Result<_>>()?);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::configure("tls", error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        config.ticketer = Arc::new(Tickets::of(self.secret.clone()));
        // What one handler remembers is of no use to the others.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }

    fn load_one(&self, pair: &Pair) -> Result<Certified> {
        let certified = pair.read()?;
        let warning = warning(pair, &certified).filter(|it| !self.warnings.contains(it));
        warning.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(certified)
    }

    pub(crate) fn secret(&self) -> Secret {
        self.secret.clone()
    }

    /// Goes on with the tickets of the program before this one in the same process.
    pub(crate) fn go_on_with(&mut self, secret: Secret) {
        self.secret = secret;
    }
}

fn warning(pair: &Pair, certified: &Certified) -> Option<String> {
    let certificate = certified.key.end_entity_cert().ok()?;
    let problem = expiry::problem(certificate, clock::wall_ms() / 1000)?;
    Some(format!("certificate {}: {problem}", pair.certificate.display()))
}

#[cfg(test)]
pub(crate) mod tests;
