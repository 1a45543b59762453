//! The files of a certificate and its key.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::{Zeroize, Zeroizing};

use super::key::{self, cut};
use super::names::Certified;
use crate::error::{Error, Result};

/// The largest file that is read, in bytes: a chain of certificates has some ten thousand.
const LARGEST: u64 = 1 << 20;

/// What nobody may do with a key but its owner: its group may read it, and nobody else anything.
///
/// The accident to catch is a key that was written under an ordinary umask (022, 002), which leaves it to
/// everybody; that a group reads it is the habit of Debian (`root:ssl-cert`) and never an accident.
const TOO_MUCH: u32 = 0o027;

const LOCKED: &str = "it has a pass phrase, for which nobody could be asked at a reload; take it \
                      off with `openssl pkey`";

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    /// Notes where they are; relative paths begin here.
    pub(super) fn at(certificate: &Path, key: &Path) -> Result<Self> {
        let absolute = |path: &Path, what: &str| {
            let wrong = |error| Error::configure(format!("{what} {}", path.display()), error);
            std::path::absolute(path).map_err(wrong)
        };
        Ok(Self { certificate: absolute(certificate, "certificate")?, key: absolute(key, "key")? })
    }

    /// Reads both, and looks whether they belong together.
    pub(super) fn read(&self) -> Result<Certified> {
        let chain = self.chain()?;
        let key = CertifiedKey::new(chain, self.key()?);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Certified::of(key).map_err(|error| self.bad_certificate(&error.to_string()))
            }
            Err(rustls::Error::InconsistentKeys(_)) => {
                let certificate = self.certificate.display();
                Err(self.bad_key(&format!(
                    "it is not the key of the certificate {certificate}, which is the first in its \
                     file; name those that were made together"
                )))
            }
            Err(error) => Err(self.bad_certificate(&format!(
                "it is no certificate that can be used ({error}); its own must come first"
            ))),
        }
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        let wrong = |problem: &str| self.bad_certificate(problem);
        let text = open(&self.certificate).and_then(whole).map_err(|problem| wrong(&problem))?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&broken(&error)))?;
        if chain.is_empty() {
            return Err(wrong(&nothing_in(&text, "a certificate", "CERTIFICATE")));
        }
        Ok(chain)
    }

    fn key(&self) -> Result<Arc<dyn SigningKey>> {
        let wrong = |problem: &str| self.bad_key(problem);
        let file = open(&self.key).map_err(|problem| wrong(&problem))?;
        self.look_who_may(&file)?;
        let text = whole(file).map_err(|problem| wrong(&problem))?;
        if cut(&text, "ENCRYPTED").is_some() {
            return Err(wrong(LOCKED));
        }
        let Some(mut key) = key::read(&text).map_err(|error| wrong(&broken(&error)))? else {
            return Err(wrong(&nothing_in(&text, "a private key", "PRIVATE KEY")));
        };
        let usable = any_supported_type(&key);
        key.zeroize();
        usable.map_err(|_| {
            wrong("its kind is not supported; use ECDSA (P-256, P-384, P-521), RSA of 2048 bits or more, or Ed25519")
        })
    }

    /// Refuses a key that others may read or write.
    fn look_who_may(&self, file: &File) -> Result<()> {
        let mode = file.metadata().map_or(0, |it| it.mode() & 0o777);
        if mode & TOO_MUCH == 0 {
            return Ok(());
        }
        let key = self.key.display();
        Err(self.bad_key(&format!(
            "others than its owner may read or write it (mode {mode:03o}); try `chmod 600 {key}`, or \
             640 if its group needs it"
        )))
    }

    fn bad_certificate(&self, problem: &str) -> Error {
        Error::configure(format!("certificate {}", self.certificate.display()), problem)
    }

    fn bad_key(&self, problem: &str) -> Error {
        Error::configure(format!("key {}", self.key.display()), problem)
    }
}

/// Opens a file; of something else, such as a pipe that nobody writes, it does not wait for the end.
fn open(path: &Path) -> Result<File, String> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file = file.map_err(|error| unreadable(&error))?;
    if file.metadata().is_ok_and(|it| it.is_file()) {
        Ok(file)
    } else {
        Err("it is no file; it must be one that can be read again at a reload".into())
    }
}

/// Reads a file into memory that is wiped; there is no second copy, because it need not grow.
fn whole(file: File) -> Result<Zeroizing<Vec<u8>>, String> {
    let length = file.metadata().map_or(0, |it| it.len());
    let capacity = usize::try_from(length.min(LARGEST)).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(capacity));
    let read = file.take(LARGEST).read_to_end(&mut text);
    read.map_err(|error| unreadable(&error))?;
    if text.len() as u64 >= LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes; is it the right file?"));
    }
    Ok(text)
}

fn unreadable(error: &std::io::Error) -> String {
    let user = rustix::process::geteuid().as_raw();
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => format!("let the user of the server (uid {user}) read it"),
        _ => "give the path of a PEM file".into(),
    };
    format!("it cannot be read: {error}; {hint}")
}

fn broken(error: &dyn Display) -> String {
    format!("it is damaged ({error}); copy it anew from where it was made")
}

/// Says what is there instead of what was looked for.
fn nothing_in(text: &[u8], wanted: &str, label: &str) -> String {
    let instead = if text.trim_ascii().is_empty() {
        "it is empty".into()
    } else if ["PRIVATE KEY-----", "BEGIN CERTIFICATE-----"]
        .iter()
        .any(|it| cut(text, it).is_some())
    {
        format!("it does not hold {wanted}; are certificate and key in the wrong order?")
    } else {
        "it is not PEM".into()
    };
    format!("{instead} (a line `-----BEGIN {label}-----` is looked for)")
}
