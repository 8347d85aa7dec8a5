//! The bytes of a job's payload: read by the member that takes the job in, and by the agent that runs it.
//!
//! Must hold: both read them with this one function, so that nothing is queued that no agent can start.

use crate::canonical::decode;
use sekisho_types::limit::PAYLOAD_MAX;
use sekisho_types::payload::{JobPayload, PayloadError};

/// Reads the canonical bytes of a payload and checks every bound.
///
/// # Errors
/// [`PayloadError`]: `payload` for bytes that are too long or not in their one form, else the field that is out of
/// its bounds.
pub fn read(bytes: &[u8]) -> Result<JobPayload, PayloadError> {
    let malformed = |must: String| PayloadError { field: "payload".to_owned(), must };
    if bytes.len() > PAYLOAD_MAX {
        return Err(malformed(format!("must be at most {PAYLOAD_MAX} bytes")));
    }
    let payload: JobPayload = decode(bytes).map_err(|error| malformed(error.to_string()))?;
    payload.check()?;
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::encode;
    use proptest::prelude::*;

    fn payload(command: &[&str]) -> JobPayload {
        JobPayload {
            command: command.iter().map(|&argument| argument.to_owned()).collect(),
            env: [("A".to_owned(), "1".to_owned())].into(),
            ..JobPayload::default()
        }
    }

    fn field(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().field
    }

    #[test]
    fn only_the_one_form_within_bounds_is_read() {
        let good = encode(&payload(&["true"])).unwrap();
        assert_eq!(read(&good), Ok(payload(&["true"])));
        assert_eq!(field(&[good.as_slice(), &[0]].concat()), "payload");
        // One argument "x"; a map of two entries with the same key; no directory, memory, processors or restart.
        let twice = [1, 1, b'x', 2, 1, b'A', 1, b'1', 1, b'A', 1, b'1', 0, 0, 0, 0];
        assert_eq!(field(&twice), "payload");
        let once = [1, 1, b'x', 1, 1, b'A', 1, b'1', 0, 0, 0, 0];
        assert_eq!(read(&once).unwrap().command, ["x"]);
        assert_eq!(field(&vec![0; PAYLOAD_MAX + 1]), "payload");
        assert_eq!(field(&encode(&payload(&[])).unwrap()), "run.command");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(payload) = read(&bytes) {
                prop_assert_eq!(encode(&payload).unwrap(), bytes);
            }
        }
    }
}
