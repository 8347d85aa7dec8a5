//! The few calls of etcd's public API that are measured, with their messages written out: field numbers as in etcd's
//! `rpc.proto`; fields that are never set here are left out.

use anyhow::{Context as _, Result};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    pub(super) member_id: u64,
    #[prost(int64, tag = "3")]
    pub(super) revision: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    /// False = linearizable.
    #[prost(bool, tag = "7")]
    serializable: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    values: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RequestOp {
    /// One arm of a `oneof`; on the wire that is a plain field.
    #[prost(message, optional, tag = "2")]
    put: Option<PutRequest>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TxnRequest {
    #[prost(message, repeated, tag = "2")]
    success: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    succeeded: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    pub(super) leader: u64,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Client(Channel);

fn position(header: Option<ResponseHeader>) -> Result<u64> {
    let revision = header.context("an answer without a header")?.revision;
    u64::try_from(revision).context("a revision below zero")
}

impl Client {
    pub(super) fn new(channel: Channel) -> Self {
        Self(channel)
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q) -> Result<A>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let mut client = tonic::client::Grpc::new(self.0.clone());
        client.ready().await?;
        let path = PathAndQuery::from_static(path);
        let answer =
            client.unary(tonic::Request::new(request), path, ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }

    pub(super) async fn put(&self, request: PutRequest) -> Result<u64> {
        let answer: PutResponse = self.call("/etcdserverpb.KV/Put", request).await?;
        position(answer.header)
    }

    /// All of them in one transaction without a condition.
    pub(super) async fn puts(&self, requests: Vec<PutRequest>) -> Result<u64> {
        let success = requests.into_iter().map(|put| RequestOp { put: Some(put) }).collect();
        let answer: TxnResponse = self.call("/etcdserverpb.KV/Txn", TxnRequest { success }).await?;
        anyhow::ensure!(answer.succeeded, "a transaction without condition did not succeed");
        position(answer.header)
    }

    /// A linearizable read of a key that is there.
    pub(super) async fn get(&self, key: Vec<u8>) -> Result<Vec<u8>> {
        let request = RangeRequest { key, serializable: false };
        let answer: RangeResponse = self.call("/etcdserverpb.KV/Range", request).await?;
        let found = answer.values.into_iter().next().context("the key is not there")?;
        Ok(found.value)
    }

    pub(super) async fn status(&self) -> Result<StatusResponse> {
        self.call("/etcdserverpb.Maintenance/Status", StatusRequest {}).await
    }
}
