//! Keys and signing requests.

use super::PkiError;
use crate::limit::CSR_MAX;
use base64ct::{Base64, Encoding as _};
use rcgen::{
    CertificateParams, CertificateSigningRequest, CertificateSigningRequestParams, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData as _,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use sekisho_types::id::Digest;
use std::fmt;

/// A P-256 key of a certificate. Not shown by `Debug`.
#[derive(Debug)]
pub struct Key(pub(super) KeyPair);

impl Key {
    /// A fresh key.
    ///
    /// # Errors
    /// [`PkiError::Rcgen`] without randomness.
    pub fn generate() -> Result<Self, PkiError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// Reads a PKCS#8 PEM key.
    ///
    /// # Errors
    /// [`PkiError::Rcgen`].
    pub fn from_pem(pem: &str) -> Result<Self, PkiError> {
        Ok(Self(KeyPair::from_pem(pem)?))
    }

    /// The key as PKCS#8 PEM.
    #[must_use]
    pub fn pem(&self) -> SecretPem {
        SecretPem(self.0.serialize_pem())
    }

    /// SHA-256 of its SubjectPublicKeyInfo: what the certificate's
    /// [`spki_sha256`](crate::identity::PeerIdentity::spki_sha256) will be.
    #[must_use]
    pub fn spki_sha256(&self) -> Digest {
        Digest::of(&self.0.subject_public_key_info())
    }

    /// A signing request, DER: proves possession and says nothing else, because nothing else in it is believed.
    ///
    /// # Errors
    /// [`PkiError::Rcgen`].
    pub fn csr(&self) -> Result<Vec<u8>, PkiError> {
        Ok(self.request()?.der().to_vec())
    }

    /// As [`Key::csr`], PEM.
    ///
    /// # Errors
    /// [`PkiError::Rcgen`].
    pub fn csr_pem(&self) -> Result<String, PkiError> {
        Ok(self.request()?.pem()?)
    }

    fn request(&self) -> Result<CertificateSigningRequest, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        Ok(params.serialize_request(&self.0)?)
    }
}

/// A private key as PEM text; `Debug` does not show it.
#[derive(Clone)]
pub struct SecretPem(String);

impl SecretPem {
    /// The text, for the file or the pipe that it belongs in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPem(..)")
    }
}

/// A signing request whose signature shows possession of its key.
#[derive(Debug)]
pub struct Csr(rcgen::PublicKey);

impl Csr {
    /// Takes PEM or DER and checks the signature. Names, extensions and attributes in it are dropped.
    ///
    /// # Errors
    /// [`PkiError::Csr`]: too large, unreadable, wrong signature, or a key that is not P-256 or P-384.
    pub fn verify(request: &[u8]) -> Result<Self, PkiError> {
        if request.len() > CSR_MAX {
            return Err(PkiError::Csr("too large"));
        }
        let der = if request.starts_with(b"-----BEGIN") {
            CertificateSigningRequestDer::from_pem_slice(request)
                .map_err(|_pem| PkiError::Csr("not PEM"))?
        } else {
            CertificateSigningRequestDer::from(request)
        };
        let key = CertificateSigningRequestParams::from_der(&der)
            .map_err(|error| {
                if error == rcgen::Error::InvalidCertificationRequestSignature {
                    PkiError::Csr("its signature does not prove possession of the key")
                } else {
                    PkiError::Csr("not a readable PKCS#10 request")
                }
            })?
            .public_key;
        let good = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384];
        if !good.contains(&key.algorithm()) {
            return Err(PkiError::Csr("the key is neither P-256 nor P-384"));
        }
        Ok(Self(key))
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo: a repeated join shows the same.
    #[must_use]
    pub fn spki_sha256(&self) -> Digest {
        Digest::of(&self.0.subject_public_key_info())
    }

    pub(super) fn public_key(&self) -> &rcgen::PublicKey {
        &self.0
    }
}

/// One certificate as PEM (RFC 7468).
#[must_use]
pub fn certificate_pem(der: &CertificateDer<'_>) -> String {
    const LINE: usize = 64;
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in Base64::encode_string(der).as_bytes().chunks(LINE) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
