//! Decides whether a server's certificate speaks for the SIP domain that was asked for (RFC 5922 §7).
//!
//! A certificate that names SIP domains by URI (`sip:example.com`) speaks for those alone; any other for its DNS names and addresses.
//! Wildcards in DNS names are accepted, against RFC 5922 §7.2: carriers use them.
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Certificates must be signed by one of `roots` and speak for the domain.
#[derive(Debug)]
pub(super) struct SipServer {
    /// `None`: any certificate will do; only the handshake itself is checked.
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SipServer {
    pub(super) fn new(roots: RootCertStore, algorithms: WebPkiSupportedAlgorithms) -> SipServer {
        SipServer {
            roots: Some(roots),
            algorithms,
        }
    }

    /// `[tls] verify = false`.
    pub(super) fn any(algorithms: WebPkiSupportedAlgorithms) -> SipServer {
        SipServer {
            roots: None,
            algorithms,
        }
    }
}

impl ServerCertVerifier for SipServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            algorithms,
        )?;
        match sip_domains(end_entity)? {
            domains if domains.is_empty() => verify_server_name(&certificate, server_name)?,
            domains => {
                let wanted = server_name.to_str();
                if !domains
                    .iter()
                    .any(|domain| domain.eq_ignore_ascii_case(&wanted))
                {
                    return Err(CertificateError::NotValidForName.into());
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The SIP domains a certificate names by URI (RFC 5922 §7.1): scheme `sip`, no user part.
fn sip_domains(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let certificate = webpki::EndEntityCert::try_from(certificate)
        .map_err(|_| Error::from(CertificateError::BadEncoding))?;
    Ok(certificate
        .valid_uri_names()
        .filter_map(sip_domain)
        .map(str::to_owned)
        .collect())
}

fn sip_domain(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let host = rest.split([';', '?']).next().unwrap_or_default();
    (scheme.eq_ignore_ascii_case("sip") && !host.is_empty() && !host.contains('@')).then_some(host)
}
