//! Whom to trust over TLS: the system's certificates, and those that the user names.
//!
//! The user's are read at once, so that a bad file shows at the start. The system's are hundreds of files: they
//! are read when the first encrypted connection is wanted, and once for all clients.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::config::HttpSetupError;

/// The certificates that the user named.
#[derive(Debug)]
pub(crate) struct Trust {
    named: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Reads a PEM file, where there is one.
    pub(crate) fn read(cacert: Option<&Path>) -> Result<Self, HttpSetupError> {
        let Some(path) = cacert else { return Ok(Self { named: Vec::new() }) };
        let pem = std::fs::read(path)
            .map_err(|source| HttpSetupError::CertificatesUnreadable { path: path.to_owned(), source })?;
        let invalid = |source| HttpSetupError::CertificatesInvalid { path: path.to_owned(), source };
        let named = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let trust = Self { named: named.map_err(|error| invalid(Some(error.into())))? };
        let roots = trust.roots().map_err(|error| invalid(Some(error.into())))?;
        if roots.is_empty() { Err(invalid(None)) } else { Ok(trust) }
    }

    /// TLS that trusts them and whom the system trusts. Blocks: it reads the system's certificates.
    pub(crate) fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions()?;
        let verifier = self.verifier(&provider).or_else(|error| {
            // A system without any trusted certificates must still reach what --cacert vouches for.
            tracing::warn!(%error, "cannot use the system's certificates");
            self.named_alone(&provider)
        })?;
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        let named = self.named.iter().cloned();
        Ok(Arc::new(Verifier::new_with_extra_roots(named, Arc::clone(provider))?))
    }

    fn named_alone(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        let roots = Arc::new(self.roots()?);
        let builder =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
        let verifier = builder.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(verifier)
    }

    fn roots(&self) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        self.named.iter().try_for_each(|certificate| roots.add(certificate.clone()))?;
        Ok(roots)
    }
}
