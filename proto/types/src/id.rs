//! Identifiers. Every kind has a type of its own, so that two of them cannot be swapped in a call.
//!
//! `MemberId` is a voter or learner of the Raft group; `NodeId` is a GPU host with an agent. Never confuse them.

use crate::name::{Name, NameError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! named {
    ($($(#[$doc:meta])* $id:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $id(pub Name);

        impl $id {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str { self.0.as_str() }
        }
        impl FromStr for $id {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> { Name::parse(text).map(Self) }
        }
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Debug::fmt(&self.0, f) }
        }
    )+};
}

named! {
    /// A company that takes part in the federation, with a trust domain and keys of its own.
    OperatorId,
    /// A place with nodes, controllers or both, run by one operator.
    SiteId,
    /// A customer: a ministry, a city, a bank, a lab.
    TenantId,
    /// A named residency policy.
    PolicyId,
    /// A class of devices that is accounted together, e.g. `h100-80g`.
    DeviceClass,
    /// What a job is known by to others of its tenant that keep apart from it.
    Mark,
}

macro_rules! pair {
    ($(#[$doc:meta])* $id:ident { $(#[$adoc:meta])* $a:ident: $at:ty, $b:ident }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $id {
            $(#[$adoc])*
            pub $a: $at,
            /// Its name, unique within the parent.
            pub $b: Name,
        }
        impl FromStr for $id {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let (a, b) = text.split_once('/').ok_or(NameError::Empty)?;
                Ok(Self { $a: a.parse()?, $b: b.parse()? })
            }
        }
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&format!("{}/{}", self.$a, self.$b))
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    };
}

pair! {
    /// A GPU host, written `site/name`.
    NodeId {
        /// The site that it stands at.
        site: SiteId, name
    }
}
/// A job, written `tenant/name`; one of the tasks of an array or service, `tenant/name/7`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// Its name, unique within the parent.
    pub name: Name,
    /// Its number among the tasks of an array or service; `None` = the whole of it. Tasks come right behind their whole in order.
    pub task: Option<u32>,
}

impl JobId {
    /// The job that this is, or is a task of.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { task: None, ..self.clone() }
    }

    /// One of its tasks.
    #[must_use]
    pub fn task(&self, number: u32) -> Self {
        Self { task: Some(number), ..self.clone() }
    }
}

impl FromStr for JobId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (tenant, rest) = text.split_once('/').ok_or(NameError::Empty)?;
        let (name, task) = match rest.split_once('/') {
            None => (rest, None),
            Some((name, task)) => (name, Some(number(task)?)),
        };
        Ok(Self { tenant: tenant.parse()?, name: name.parse()?, task })
    }
}

/// One spelling for each number: two of one task would be two resources.
fn number(text: &str) -> Result<u32, NameError> {
    let number: Option<u32> = text.parse().ok();
    number.filter(|number| number.to_string() == text).ok_or(NameError::Number)
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            None => f.pad(&format!("{}/{}", self.tenant, self.name)),
            Some(task) => f.pad(&format!("{}/{}/{task}", self.tenant, self.name)),
        }
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A voter or learner of the Raft group. Never reused: a wiped member comes back under a new id (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Why a text is not hexadecimal of the wanted length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} hexadecimal digits")]
pub struct HexError(pub usize);

macro_rules! bytes {
    ($($(#[$doc:meta])* $id:ident($n:literal)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $id(pub [u8; $n]);

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
        impl AsRef<[u8]> for $id {
            fn as_ref(&self) -> &[u8] { &self.0 }
        }
        impl FromStr for $id {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                const DIGITS: usize = $n << 1;
                let bad = || HexError(DIGITS);
                if text.len() != DIGITS { return Err(bad()); }
                let mut out = [0u8; $n];
                for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_utf8| bad())?;
                    if pair.starts_with('+') { return Err(bad()); }
                    *byte = u8::from_str_radix(pair, 16).map_err(|_digit| bad())?;
                }
                Ok(Self(out))
            }
        }
        impl TryFrom<&[u8]> for $id {
            type Error = HexError;
            fn try_from(raw: &[u8]) -> Result<Self, HexError> {
                raw.try_into().map(Self).map_err(|_length| HexError($n << 1))
            }
        }
        // Text in human-readable formats, a fixed array of bytes in the canonical one.
        impl Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeTuple;
                if s.is_human_readable() { return s.collect_str(self); }
                let mut tuple = s.serialize_tuple($n)?;
                for byte in &self.0 { tuple.serialize_element(byte)?; }
                tuple.end()
            }
        }
        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = String::deserialize(d)?;
                    return text.parse().map_err(serde::de::Error::custom);
                }
                struct Raw;
                impl<'de> serde::de::Visitor<'de> for Raw {
                    type Value = [u8; $n];
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} bytes", $n)
                    }
                    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; $n], A::Error> {
                        let mut out = [0u8; $n];
                        for (at, slot) in out.iter_mut().enumerate() {
                            *slot = seq.next_element()?
                                .ok_or_else(|| serde::de::Error::invalid_length(at, &self))?;
                        }
                        Ok(out)
                    }
                }
                d.deserialize_tuple($n, Raw).map(Self)
            }
        }
    )+};
}

bytes! {
    /// Identity of one federation, made at genesis.
    ClusterId(16),
    /// Chosen once by the client for each intention and kept across retries (R3).
    RequestId(16),
    /// Something that waits for signatures of other operators: the request id of whoever proposed it.
    ApprovalId(16),
    /// SHA-256 of some canonical bytes.
    Digest(32),
    /// An Ed25519 public key (RFC 8032).
    PublicKey(32),
    /// An Ed25519 signature (RFC 8032).
    Signature(64),
}

impl Digest {
    /// SHA-256 of `data`.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(data).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_bytes_round_trip_as_text() {
        let node: NodeId = "tokyo-1/n-01".parse().unwrap();
        assert_eq!(node.to_string(), "tokyo-1/n-01");
        assert_eq!("tokyo-1".parse::<NodeId>(), Err(NameError::Empty));
        for text in ["city/train", "city/train/0", "city/train/4294967295"] {
            assert_eq!(text.parse::<JobId>().unwrap().to_string(), text);
        }
        for bad in ["/01", "/+1", "/-1", "/", "/x", "/1/2", "/4294967296"] {
            assert_eq!(format!("city/train{bad}").parse::<JobId>(), Err(NameError::Number));
        }
        let (whole, task) = ("city/a".parse::<JobId>().unwrap(), "city/a/9".parse().unwrap());
        assert!(whole < task && task < "city/a/10".parse().unwrap(), "in the order of numbers");
        assert_eq!((task.whole(), whole.task(9)), (whole, task));
        let id = RequestId([0xab; 16]);
        assert_eq!(id.to_string().parse::<RequestId>(), Ok(id));
        for bad in ["", "zz", &"+f".repeat(16), &"f".repeat(31)] {
            assert_eq!(bad.parse::<RequestId>(), Err(HexError(32)), "{bad}");
        }
    }
}
