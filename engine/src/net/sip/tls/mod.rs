//! Certificates and keys of SIP over TLS and WSS (rustls, TLS 1.2 and 1.3): what we show, whom we believe, and their exchange while
//! connections are open.
//!
//! A connection keeps what it was opened with; new ones use what was loaded last. Keys are in memory only, never in a message.
mod load;
mod verify;

pub use load::TlsError;

use crate::config;
use arc_swap::{ArcSwap, ArcSwapOption};
use load::Identity;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use verify::SipServer;

/// Which files are used. All are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Our certificate with its intermediates, and the file of its key; needed to listen, and shown to servers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Peers that connect to us must show a certificate signed by one of these; `None`: none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether certificates of the servers we connect to are checked.
    pub verify: bool,
    /// Who may have signed them; `None`: whom the system trusts.
    pub ca: Option<PathBuf>,
}

impl Default for TlsSettings {
    /// No certificate of our own; servers are checked against whom the system trusts.
    fn default() -> Self {
        TlsSettings {
            identity: None,
            client_ca: None,
            verify: true,
            ca: None,
        }
    }
}

impl From<&config::Tls> for TlsSettings {
    fn from(tls: &config::Tls) -> TlsSettings {
        let identity = tls.identity.as_ref();
        TlsSettings {
            identity: identity.map(|files| (files.certificate.clone(), files.key.clone())),
            client_ca: tls.client_ca.clone(),
            verify: tls.verify,
            ca: match &tls.ca {
                config::CertificateAuthorities::System => None,
                config::CertificateAuthorities::File(file) => Some(file.clone()),
            },
        }
    }
}

/// What TLS connections are made with, exchanged as a whole.
pub struct Tls {
    server: ArcSwapOption<ServerConfig>,
    client: ArcSwap<ClientConfig>,
}

impl Tls {
    /// Reads the files. The error names the file and what is wrong with it.
    pub fn load(settings: &TlsSettings) -> Result<Arc<Tls>, TlsError> {
        let (server, client) = configs(settings)?;
        Ok(Arc::new(Tls {
            server: ArcSwapOption::from(server),
            client: ArcSwap::from(client),
        }))
    }

    /// Reads the files anew. Connections that are open stay as they are; after an error everything does.
    pub fn reload(&self, settings: &TlsSettings) -> Result<(), TlsError> {
        let (server, client) = configs(settings)?;
        self.server.store(server);
        self.client.store(client);
        Ok(())
    }

    /// For accepted connections; `None` without a certificate.
    pub(super) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.server.load_full()
    }

    /// For connections we open.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        self.client.load_full()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn configs(
    settings: &TlsSettings,
) -> Result<(Option<Arc<ServerConfig>>, Arc<ClientConfig>), TlsError> {
    let provider = Arc::new(ring::default_provider());
    let identity = match &settings.identity {
        Some((certificate, key)) => Some(load::identity(certificate, key, &provider)?),
        None => None,
    };
    let server = match &identity {
        Some(identity) => Some(Arc::new(server_config(settings, identity, &provider)?)),
        None => None,
    };
    let client = client_config(settings, identity.as_ref(), &provider)?;
    Ok((server, Arc::new(client)))
}

fn server_config(
    settings: &TlsSettings,
    identity: &Identity,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(load::authorities(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            let verifier = verifier.build().map_err(|error| TlsError::Content {
                file: file.clone(),
                what: error.to_string(),
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(TlsError::Unusable)
}

fn client_config(
    settings: &TlsSettings,
    identity: Option<&Identity>,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientConfig, TlsError> {
    let algorithms = provider.signature_verification_algorithms;
    let verifier: Arc<dyn ServerCertVerifier> = match (settings.verify, &settings.ca) {
        (false, _) => Arc::new(SipServer::any(algorithms)),
        (true, Some(file)) => Arc::new(SipServer::new(load::authorities(file)?, algorithms)),
        (true, None) => Arc::new(SipServer::new(system_authorities(), algorithms)),
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(TlsError::Unusable),
    }
}

/// Whom the system trusts. None at all is no error: TLS may not be used.
fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (usable, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        tracing::debug!(
            "this system trusts no certificate authority: set [tls] ca, or install the package ca-certificates, before using TLS towards a trunk"
        );
    }
    roots
}

#[cfg(test)]
mod tests;
