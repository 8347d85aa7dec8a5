//! Requests that are larger than their bounds: stopped by the command line, by a field's bound, and by the bound of
//! every message.

use crate::stage::Stage;
use sekisho_api::limit::REQUEST_MAX;
use sekisho_chaos::work::spec;
use sekisho_cli::context::Context;
use sekisho_cli::intent::{Signer, intent};
use sekisho_cli::spec::{Override, parse};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::CreateJobRequest;
use sekisho_proto::v1::job_service_client::JobServiceClient;
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::dial::{ChannelOptions, Dialer};
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, RequestId};
use sekisho_types::limit::PAYLOAD_MAX;
use sekisho_types::time::Clock as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::Status;

pub(crate) fn oversized(stage: &mut Stage) {
    let file = stage.file("big.yaml", &spec("bad", 1, 1, "", &"x".repeat(PAYLOAD_MAX + 1)));
    let answer = stage.federation.run("sapporo", &["job", "submit", &file]).unwrap();
    let words = [&*PAYLOAD_MAX.to_string()];
    stage.refused("a payload over 64 KiB", &answer, (ErrorCode::TooLarge, 2), &words);
    let large = |n: usize| spec(&format!("large-{n}"), 1, 1, "", &"x".repeat(PAYLOAD_MAX - 1000));
    let files = [0, 1, 2, 3, 4].map(|n| stage.file(&format!("large-{n}.yaml"), &large(n)));
    let args: Vec<&str> =
        ["job", "submit"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let answer = stage.federation.run("sapporo", &args).unwrap();
    let words = [&*REQUEST_MAX.to_string()];
    stage.refused("a batch over 256 KiB", &answer, (ErrorCode::TooLarge, 2), &words);
    // A client that checks nothing by itself.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let contexts = stage.contexts();
    let (_, sapporo) = contexts.pick(Some("sapporo"), Default::default()).unwrap();
    for (what, size) in
        [("a payload over its bound", PAYLOAD_MAX + 1), ("a message over its bound", REQUEST_MAX)]
    {
        let status = runtime.block_on(send(stage.port, sapporo, request(sapporo, size)));
        let error = ApiError::from_status(&status);
        assert_eq!(error.code, ErrorCode::TooLarge, "{what}: {status:?}");
        assert!(!error.code.is_retryable());
        assert_eq!(stage.unchanged(what), Vec::<String>::new());
    }
}

/// A soundly signed submission with `size` bytes of payload.
fn request(context: &Context, size: usize) -> CreateJobRequest {
    let (payload, day) = (vec![b'x'; size], SystemClock.wall().date_in_japan());
    let text = spec("bad", 1, 1, "", "true");
    let mut facts = parse(&text, &Override::default(), day).unwrap().facts;
    facts.payload = Digest::of(&payload);
    facts.payload_len = u32::try_from(size).unwrap();
    let command = Command::SubmitJob { facts: Box::new(facts.clone()) };
    let signer = Signer::load(context).unwrap();
    let intent = intent(context, &[signer], RequestId([7; 16]), &command, false).unwrap();
    NewJob { facts, payload: payload.into() }.request(intent)
}

/// What the first member says to it.
async fn send(port: u16, context: &Context, request: CreateJobRequest) -> Status {
    let trust = TrustBundles::new(Arc::new(SystemClock));
    let root = |root: &sekisho_cli::context::Root| {
        let pem = std::fs::read_to_string(&root.file).unwrap();
        (root.trust_domain.clone(), Bundle::from_pem(root.operator.clone(), &pem).unwrap())
    };
    trust.replace(&context.roots.iter().map(root).collect::<BTreeMap<_, _>>()).unwrap();
    let identity = sekisho_cli::client::identity(context).unwrap();
    let dialer = Dialer::new(Some(identity), trust);
    let address: Address = format!("127.0.0.1:{port}").parse().unwrap();
    let route = dialer.channel(&address, &Expect::AnyMember, ChannelOptions::default()).unwrap();
    JobServiceClient::new(route.channel()).create_job(request).await.unwrap_err()
}
