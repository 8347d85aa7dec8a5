//! The audit log's tiles, fetched from members over their one port.
//!
//! Must hold: an answer is bounded before it is kept, and believed only as far as it leads to a head that was verified
//! ([`Tiles`]).

use crate::client::Client;
use crate::failure::Failure;
use sekisho_evidence::merkle::{Head, MerkleError};
use sekisho_evidence::tile_proof::{HASHES_MAX, Tiles, Tried};
use sekisho_proto::status::ApiError;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Digest;
use std::future::poll_fn;
use std::pin::Pin;
use tonic::body::Body;
use tonic::codegen::{Body as _, Service, http};
use tonic::transport::Channel;
use tonic::{Response, Status};

/// Times that a proof may ask for more tiles: once for each level of the largest log, and as often again.
const ROUNDS_MAX: usize = 16;

/// Tiles of one log, fetched as they are needed.
#[derive(Debug)]
pub(super) struct Fetch<'c> {
    client: &'c Client,
    tiles: Tiles,
}

impl<'c> Fetch<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        Self { client, tiles: Tiles::default() }
    }

    /// The inclusion path of a record.
    pub(super) async fn inclusion(
        &mut self,
        head: Head,
        index: u64,
    ) -> Result<Vec<Digest>, Failure> {
        self.until(|tiles| tiles.inclusion(head, index)).await
    }

    /// The head that the log of `head` had at `size`, with the proof.
    pub(super) async fn at(
        &mut self,
        head: Head,
        size: u64,
    ) -> Result<(Head, Vec<Digest>), Failure> {
        self.until(|tiles| tiles.at(head, size)).await
    }

    async fn until<T>(
        &mut self,
        attempt: impl Fn(&Tiles) -> Result<Tried<T>, MerkleError>,
    ) -> Result<T, Failure> {
        for _ in 0..ROUNDS_MAX {
            let tried = attempt(&self.tiles).map_err(|error| wrong(&error.to_string()))?;
            let wants = match tried {
                Tried::Got(got) => return Ok(got),
                Tried::Wants(wants) => wants,
            };
            for path in wants {
                let bytes = get(self.client, &path, HASHES_MAX).await?;
                self.tiles.put(path, bytes);
            }
        }
        Err(wrong("they never suffice"))
    }
}

fn wrong(why: &str) -> Failure {
    Failure::new(
        ErrorCode::Internal,
        format!("the member's tiles are not those of its head: {why}"),
    )
}

/// What a member answers to a plain GET.
async fn get(client: &Client, path: &str, max: usize) -> Result<Vec<u8>, Failure> {
    let ask = |channel| {
        let path = path.to_owned();
        async move { fetch(channel, &path, max).await }
    };
    client.call(ask).await
}

async fn fetch(mut channel: Channel, path: &str, max: usize) -> Result<Response<Vec<u8>>, Status> {
    let ours = |why: String| ApiError::new(ErrorCode::Internal, why);
    // As the generated clients do: a connection that breaks is nobody's answer.
    let broken = |error: tonic::transport::Error| Status::from_error(Box::new(error));
    let request = http::Request::builder().uri(path).body(Body::empty());
    let request = request.map_err(|error| ours(error.to_string()))?;
    poll_fn(|cx| Service::<http::Request<Body>>::poll_ready(&mut channel, cx))
        .await
        .map_err(broken)?;
    let answer = channel.call(request).await.map_err(broken)?;
    let (head, mut body) = answer.into_parts();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len().saturating_add(data.len()) > max {
            return Err(ours(format!("{path} is longer than {max} bytes")).into());
        }
        bytes.extend_from_slice(&data);
    }
    if head.status.is_success() {
        return Ok(Response::new(bytes));
    }
    Err(refusal(path, head.status, &String::from_utf8_lossy(&bytes)).into())
}

/// What a member refused a path with: its words begin with their code. Whatever else refuses is a reason to ask another member.
fn refusal(path: &str, status: http::StatusCode, words: &str) -> ApiError {
    let words = words.trim_end();
    let told = words.split_once(':').and_then(|(code, _)| ErrorCode::parse(code));
    ApiError::new(told.unwrap_or(ErrorCode::AuditIncomplete), format!("{path}: {status}: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_the_code_that_its_words_begin_with() {
        let of = |status: u16, words: &str| {
            refusal("/tile/0/000", http::StatusCode::from_u16(status).unwrap(), words)
        };
        let gone = of(404, "NOT_FOUND: no such tile\n");
        let words = "/tile/0/000: 404 Not Found: NOT_FOUND: no such tile";
        assert_eq!((gone.code, gone.message.as_str()), (ErrorCode::NotFound, words));
        assert_eq!(of(403, "PERMISSION_DENIED: ").code, ErrorCode::PermissionDenied);
        assert_eq!(of(502, "bad gateway: who knows").code, ErrorCode::AuditIncomplete);
        assert_eq!(of(503, "").code, ErrorCode::AuditIncomplete);
    }
}
