//! Reads certificates and keys from PEM files, and says in a sentence what is wrong with them.
//!
//! Limit: a file may have 1 MiB.
use std::path::{Path, PathBuf};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, RootCertStore};

/// No PEM file of ours is longer, in octets.
const MAX_FILE: u64 = 1 << 20;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {file}: {cause}; see [tls] in the configuration")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{file}: {what}; see [tls] in the configuration")]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The library refuses what was read.
    #[error("the TLS settings cannot be used: {0}; see [tls] in the configuration")]
    Unusable(rustls::Error),
}

/// What we show to peers.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Reads our certificate and its key; they must belong together.
pub(super) fn identity(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<Identity, TlsError> {
    let chain = certificates(certificate)?;
    let text = read(key)?;
    let key_der = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        wrong(key, "no private key in PEM form (-----BEGIN PRIVATE KEY-----) in this file; a key with a password is not supported")
    })?;
    let signing = provider
        .key_provider
        .load_private_key(key_der.clone_key())
        .map_err(|error| wrong(key, &format!("the private key cannot be used: {error}")))?;
    CertifiedKey::new(chain.clone(), signing)
        .keys_match()
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => wrong(
                key,
                &format!(
                    "this is not the key of the first certificate in {}",
                    certificate.display()
                ),
            ),
            error => wrong(
                certificate,
                &format!("the certificate cannot be used: {error}"),
            ),
        })?;
    Ok(Identity {
        chain,
        key: key_der,
    })
}

/// Reads those whose signatures are believed.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| wrong(file, &format!("a certificate cannot be used: {error}")))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong(
            file,
            "no certificate in PEM form (-----BEGIN CERTIFICATE-----) in this file",
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(file, &format!("broken PEM: {error}"))),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |cause| TlsError::Read {
        file: file.to_owned(),
        cause,
    };
    let length = std::fs::metadata(file).map_err(failed)?.len();
    if length > MAX_FILE {
        return Err(wrong(file, "longer than 1 MiB: this is no PEM file"));
    }
    std::fs::read(file).map_err(failed)
}

fn wrong(file: &Path, what: &str) -> TlsError {
    TlsError::Content {
        file: file.to_owned(),
        what: what.to_owned(),
    }
}
