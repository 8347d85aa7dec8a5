//! One line for a person out of a chain of causes. The TLS library shows a verifier's own error only in its debug
//! form, wrapped twice; here it is unwrapped, because a refused certificate is the most frequent fault at set-up.

use rustls::CertificateError;
use std::error::Error;
use std::io;

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
