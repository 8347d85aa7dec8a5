//! One line for a person out of a chain of causes. The TLS library shows a verifier's own error only in its debug
//! form, wrapped twice; here it is unwrapped, because a refused certificate is the most frequent fault at set-up.

use rustls::{AlertDescription, CertificateError};
use std::error::Error;
use std::io;

/// What an alert about the own certificate says, in words.
const ALERTS: [(AlertDescription, &str); 9] = [
    (AlertDescription::CertificateExpired, "it has expired, by that clock"),
    (AlertDescription::UnknownCA, "of an authority that is not trusted there"),
    (AlertDescription::CertificateRevoked, "it was revoked"),
    (AlertDescription::BadCertificate, "it is malformed or wrongly signed"),
    // What a chain gets whose issuer has the name of the trusted one and another key.
    (AlertDescription::DecryptError, "a signature of it does not verify"),
    (AlertDescription::UnsupportedCertificate, "of a kind that is not taken there"),
    (AlertDescription::CertificateUnknown, "it breaks a rule"),
    (AlertDescription::AccessDenied, "its holder is not let in"),
    (AlertDescription::CertificateRequired, "there is none"),
];

/// Why the peer refused the own certificate, if that is what ended the stream. In TLS 1.3 this comes with the first read
/// after a handshake that seemed to have succeeded.
pub(crate) fn certificate_refused(error: &io::Error) -> Option<&'static str> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::AlertReceived(alert) = tls else { return None };
    ALERTS.iter().find(|(known, _)| known == alert).map(|(_, words)| *words)
}

/// The error with its causes, outermost first.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let separator = if text.is_empty() { "" } else { ": " };
        text.push_str(separator);
        if let Some(refusal) = refusal(error) {
            text.push_str(&explain(refusal));
            break;
        }
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

/// Our own verdict inside an IO error of the TLS stream.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let tls = error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = tls else {
        return None;
    };
    Some(&*other.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::VerifyError;

    #[test]
    fn verdicts_of_our_own_are_told_in_words() {
        let ours = rustls::Error::from(VerifyError::NoCertificate);
        let told = explain(&io::Error::new(io::ErrorKind::InvalidData, ours));
        assert_eq!(told, "no certificate presented");
        let theirs = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let told = explain(&io::Error::new(io::ErrorKind::InvalidData, theirs));
        assert_eq!(told, "invalid peer certificate: Expired");
    }
}
