//! Trace context: which request a call belongs to, as W3C Trace Context names it (`traceparent`, level 1).
//!
//! Must hold: what comes in is only an identifier: it is checked, bounded and never decides anything; a malformed one
//! is ignored, as if there were none. It follows a call through this process in the task ([`scope`]), like its
//! deadline, and on to the next member ([`inject`]).
//! Does not do: recording or sending spans. `tracestate` is not carried on.

use http::HeaderMap;
use http::header::HeaderValue;
use std::fmt;
use tonic::metadata::{MetadataMap, MetadataValue};

/// The header.
pub const TRACEPARENT: &str = "traceparent";

/// Length of the header in version 00: `00-` 32 `-` 16 `-` 2.
const LENGTH: usize = 55;

/// The last bit of the flags: somebody records this trace.
const SAMPLED: u8 = 1;

/// One call within one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

fn hex(text: &str) -> Option<u128> {
    let lower = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if lower { u128::from_str_radix(text, 16).ok() } else { None }
}

fn random<T: Default + PartialEq>(draw: impl Fn() -> T) -> T {
    // All zeroes means "none" in the header.
    std::iter::repeat_with(draw).find(|id| *id != T::default()).unwrap_or_default()
}

impl TraceContext {
    /// A trace that begins here.
    #[must_use]
    pub fn begin() -> Self {
        Self { trace: random(rand::random::<u128>), span: random(rand::random::<u64>), flags: 0 }
    }

    /// Reads a header. Of versions after 00 it reads what 00 defined, as the standard asks.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (known, rest) = header.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = (version.len(), trace.len(), span.len(), flags.len());
        if lengths != (2, 32, 16, 2) || parts.next().is_some() {
            return None;
        }
        let version = hex(version)?;
        let more =
            if version == 0 { rest.is_empty() } else { rest.is_empty() || rest.starts_with('-') };
        if version == 0xff || !more {
            return None;
        }
        let (trace, span) = (hex(trace)?, u64::try_from(hex(span)?).ok()?);
        let flags = u8::try_from(hex(flags)?).ok()? & SAMPLED;
        (trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }

    /// The context of an incoming call: a span of its own in the caller's trace, or a trace that begins here.
    #[must_use]
    pub fn of_call(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(TRACEPARENT).iter();
        // Twice is malformed: nobody can say which of the two is meant.
        let only = values.next().filter(|_| values.next().is_none());
        let parent = only.and_then(|value| Self::parse(value.to_str().ok()?));
        parent.map_or_else(Self::begin, Self::child)
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: random(rand::random::<u64>), ..self }
    }

    /// The trace's id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span's id, 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }
}

impl fmt::Display for TraceContext {
    /// As a header of version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// Runs a future as part of a call; [`current`] and [`inject`] see it there, not in tasks that the future spawns.
pub async fn scope<F: Future>(context: TraceContext, future: F) -> F::Output {
    CURRENT.scope(context, future).await
}

/// The call that this task works for.
#[must_use]
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// Names the present call as the parent of an outgoing one. Without a present call it adds nothing.
pub fn inject(metadata: &mut MetadataMap) {
    let header = current().map(|context| HeaderValue::try_from(context.to_string()));
    if let Some(Ok(value)) = header
        && let Ok(value) = MetadataValue::try_from(value.as_bytes())
    {
        metadata.insert(TRACEPARENT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written_again_and_nothing_malformed_is_read() {
        let read = TraceContext::parse(GOOD).unwrap();
        assert_eq!(read.to_string(), GOOD);
        assert_eq!(read.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(read.span_id(), "00f067aa0ba902b7");
        // A later version may say more; flags that nobody knows are not passed on.
        let later = format!("cc{}3-what-else", &GOOD[2..54]);
        assert_eq!(TraceContext::parse(&later), Some(read));
        for bad in [
            "".to_owned(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-x"),
            format!("{GOOD}0"),
            format!("ff{}", &GOOD[2..]),
            format!("cc{}x", &GOOD[2..]),
            GOOD.to_uppercase(),
            GOOD.replace('b', "é"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("00f067aa0ba902b7", "+0f067aa0ba902b7"),
            GOOD.replace("-00f067", "000f067"),
        ] {
            assert_eq!(TraceContext::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_call_joins_its_callers_trace_and_a_bad_header_begins_one() {
        let call = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
            }
            TraceContext::of_call(&headers)
        };
        let joined = call(&[GOOD]);
        assert_eq!(joined.trace_id(), &GOOD[3..35]);
        assert_ne!(joined.span_id(), &GOOD[36..52]);
        assert!(joined.to_string().ends_with("-01"));
        for other in [vec![], vec!["nonsense"], vec![GOOD, GOOD]] {
            let begun = call(&other);
            assert_ne!(begun.trace_id(), &GOOD[3..35], "{other:?}");
            assert_eq!(TraceContext::parse(&begun.to_string()), Some(begun));
        }
    }

    #[tokio::test]
    async fn an_outgoing_call_names_the_present_one_as_its_parent() {
        let injected = || {
            let mut metadata = MetadataMap::new();
            inject(&mut metadata);
            metadata.get(TRACEPARENT).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(injected(), None);
        let context = TraceContext::begin();
        let within = scope(context, async { (current(), injected()) }).await;
        assert_eq!(within, (Some(context), Some(context.to_string())));
        assert_eq!(current(), None);
    }
}
