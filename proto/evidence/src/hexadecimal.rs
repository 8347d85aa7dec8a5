//! Bytes as hexadecimal text in files that people read, as bytes where they are signed. Has one spelling of each byte in
//! canonical form; what people write in capitals is read all the same.

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let one = |pair: &[u8; 2]| {
        // from_str_radix takes a sign, too.
        let digits = pair.iter().all(u8::is_ascii_hexdigit).then_some(pair)?;
        u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    if rest.is_empty() { pairs.iter().map(one).collect() } else { None }
}

pub(crate) fn serialize<S: Serializer>(value: &[u8], to: S) -> Result<S::Ok, S::Error> {
    if to.is_human_readable() { text(value).serialize(to) } else { value.serialize(to) }
}

pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
    if !from.is_human_readable() {
        return Vec::deserialize(from);
    }
    bytes(&String::deserialize(from)?).ok_or_else(|| D::Error::custom("not hexadecimal"))
}

pub(crate) mod optional {
    use super::{bytes, text};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Vec<u8>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            value.as_deref().map(text).serialize(to)
        } else {
            value.serialize(to)
        }
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(
        from: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        if !from.is_human_readable() {
            return Option::deserialize(from);
        }
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        bytes(&text).map(Some).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

pub(crate) mod array {
    use serde::{Deserializer, Serialize as _, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(value: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { super::text(value).serialize(to) } else { value.serialize(to) }
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<[u8; 32], D::Error> {
        if !from.is_human_readable() {
            return serde::Deserialize::deserialize(from);
        }
        let bytes = super::deserialize(from)?;
        <[u8; 32]>::try_from(bytes).map_err(|_len| D::Error::custom("not 32 bytes"))
    }
}
