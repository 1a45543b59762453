//! The certificates by which a pool speaks HTTPS.

use std::path::{Path, PathBuf};

use bellwether::{Result, Tls};
use schemars::JsonSchema;
use serde::Deserialize;

/// The files of a certificate and of its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    /// The certificate and then those of its issuers (PEM).
    pub(crate) cert: PathBuf,
    /// The key of the certificate (PEM); its owner alone may write it, its group may read it.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Takes the two values of a flag.
    pub(crate) fn of(files: &[PathBuf]) -> Self {
        let file = |i| files.get(i).cloned().unwrap_or_default();
        Self { cert: file(0), key: file(1) }
    }

    /// Takes relative paths as ones from this folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.cert = folder.join(&self.cert);
        self.key = folder.join(&self.key);
    }

    /// Looks whether it can be used.
    pub(super) fn look(&self) -> Result<Tls> {
        Tls::new(&self.cert, &self.key)
    }
}

/// Reads all certificates of a pool; `None` where there is none.
pub(crate) fn tls(certificates: &[Certificate]) -> Result<Option<Tls>> {
    let Some((first, others)) = certificates.split_first() else { return Ok(None) };
    others.iter().try_fold(first.look()?, |tls, it| tls.also(&it.cert, &it.key)).map(Some)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::LazyLock;

    use tempfile::TempDir;

    use super::*;

    /// A certificate and its key that are there as long as the tests run.
    pub(crate) fn certificate_on_disk() -> &'static [PathBuf; 2] {
        static FILES: LazyLock<(TempDir, [PathBuf; 2])> = LazyLock::new(|| {
            let folder = tempfile::tempdir().unwrap();
            let files = ["shop.pem", "shop.key"].map(|name| folder.path().join(name));
            let made = rcgen::generate_simple_self_signed(["shop.example".into()]).unwrap();
            fs::write(&files[0], made.cert.pem()).unwrap();
            fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
            fs::set_permissions(&files[1], fs::Permissions::from_mode(0o600)).unwrap();
            (folder, files)
        });
        &FILES.1
    }

    #[test]
    fn all_certificates_are_read_and_a_wrong_one_is_told() {
        let right = Certificate::of(certificate_on_disk());
        let wrong = Certificate { key: "no.key".into(), ..right.clone() };
        assert!(tls(&[]).unwrap().is_none());
        assert!(tls(&[right.clone(), right.clone()]).unwrap().is_some());
        for list in [vec![wrong.clone()], vec![right, wrong]] {
            assert!(tls(&list).unwrap_err().to_string().contains("no.key: it cannot be read"));
        }
    }
}
