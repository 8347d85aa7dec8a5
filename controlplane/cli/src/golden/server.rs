//! Test-only: a member that gives fixed answers, behind the listener and the certificates of the product.

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use sekisho_proto::status::ApiError;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::listen::{Limits, Listener};
use sekisho_transport::task::{TaskGroup, TaskKind};
use sekisho_types::error_code::ErrorCode;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tonic::Status;

use crate::context::Contexts;

type Answer = Result<Bytes, Status>;

/// Answers by the path of the call. What is not there is refused as a server of before would.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answers {
    by_path: BTreeMap<&'static str, Vec<Answer>>,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    sent: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl Answers {
    /// One call's answer; several of one call are given in turn, the last one again and again.
    pub(crate) fn with(mut self, path: &'static str, answer: &impl Message) -> Self {
        self.by_path.entry(path).or_default().push(Ok(answer.encode_to_vec().into()));
        self
    }

    pub(crate) fn refusing(mut self, path: &'static str, error: ApiError) -> Self {
        self.by_path.entry(path).or_default().push(Err(error.into()));
        self
    }

    /// What was asked of a call, in order.
    pub(crate) fn sent<M: Message + Default>(&self, path: &str) -> Vec<M> {
        let sent = self.sent.lock().unwrap();
        let of = sent.iter().filter(|(to, _)| to.trim_start_matches("/sekisho.v1.") == path);
        // Each stands behind a mark and its length.
        of.map(|(_, framed)| M::decode(framed.slice(5..)).unwrap()).collect()
    }

    fn of(&self, path: &str) -> Answer {
        let mut asked = self.asked.lock().unwrap();
        let count = asked.entry(path.to_owned()).or_default();
        let short = path.trim_start_matches("/sekisho.v1.");
        let unknown = || ApiError::new(ErrorCode::MethodUnknown, short);
        let all = self.by_path.get(short).ok_or_else(unknown)?;
        let answer = all.get(*count).or_else(|| all.last()).unwrap().clone();
        *count += 1;
        answer
    }
}

/// Serves at a port of its own for as long as it is held. Returns where.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    tasks: TaskGroup,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a thread of its own: the run under test blocks")]
    /// As member 1 of the federation whose contexts file this is.
    pub(crate) fn start(contexts: &Path, answers: Answers) -> Self {
        let (identity, bundles) = credentials(contexts);
        let tasks = TaskGroup::new();
        let (own, (tell, told)) = (tasks.clone(), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let any = "127.0.0.1:0".parse().unwrap();
                let listener = Listener::bind(any, &identity, &bundles, &own, Limits::default())
                    .await
                    .unwrap();
                tell.send(listener.addr).unwrap();
                tokio::select! {
                    () = serve(listener, answers, &own) => {}
                    () = own.cancelled() => {}
                }
            });
        });
        Self { addr: told.recv().unwrap(), tasks }
    }
}

/// What member 1 of the federation whose contexts file this is shows, and whom it believes.
fn credentials(contexts: &Path) -> (Identity, Arc<TrustBundles>) {
    let identity = Identity::load(&contexts.with_file_name("operators/kanto/members/1")).unwrap();
    let bundles = TrustBundles::new(Arc::new(SystemClock));
    let known = Contexts::load(contexts).unwrap();
    let root = |root: &crate::context::Root| {
        let pem = std::fs::read_to_string(&root.file).unwrap();
        (root.trust_domain.clone(), Bundle::from_pem(root.operator.clone(), &pem).unwrap())
    };
    bundles.replace(&known.context["kanto"].roots.iter().map(root).collect()).unwrap();
    (identity, bundles)
}

/// Hangs below TLS: connections are taken by the kernel, and nobody says a word on them, because its runtime stands still.
pub(crate) struct Silent {
    pub(crate) addr: SocketAddr,
    _listener: Listener,
    _runtime: tokio::runtime::Runtime,
}

impl Silent {
    /// As member 1 of the federation whose contexts file this is.
    pub(crate) fn start(contexts: &Path) -> Self {
        let (identity, bundles) = credentials(contexts);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (any, tasks) = ("127.0.0.1:0".parse().unwrap(), TaskGroup::new());
        let bound = Listener::bind(any, &identity, &bundles, &tasks, Limits::default());
        let listener = runtime.block_on(bound).unwrap();
        Self { addr: listener.addr, _listener: listener, _runtime: runtime }
    }
}

async fn serve(mut listener: Listener, answers: Answers, tasks: &TaskGroup) {
    while let Some(Ok(conn)) = listener.authenticated.next().await {
        let answers = answers.clone();
        tasks.spawn(TaskKind::Ordinary, "fixed answers", async move {
            let call = |request: Request<Incoming>| answered(request, answers.clone());
            let service = hyper::service::service_fn(call);
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // A client that leaves is no failure of the test.
            drop(server.serve_connection(TokioIo::new(conn), service).await);
        });
    }
}

type Body = StreamBody<
    futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, std::convert::Infallible>>>,
>;

async fn answered(
    request: Request<Incoming>,
    answers: Answers,
) -> Result<Response<Body>, std::convert::Infallible> {
    let path = request.uri().path().to_owned();
    // The request is read to its end, as a server would.
    let sent = request.into_body().collect().await.unwrap().to_bytes();
    answers.sent.lock().unwrap().push((path.clone(), sent));
    let (mut frames, mut trailers) = (Vec::new(), HeaderMap::new());
    match answers.of(&path) {
        Ok(message) => {
            let mut framed = BytesMut::new();
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).unwrap());
            framed.put(message);
            frames.push(Ok(Frame::data(framed.freeze())));
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
        }
        Err(status) => status.add_header(&mut trailers).unwrap(),
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let mut response = Response::new(StreamBody::new(futures::stream::iter(frames)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}
