//! Calls to members: follows the leader, repeats what may be repeated, ends by the deadline (L3).
//!
//! A site that is down costs a quarter of a second, and the next command begins elsewhere (`reach.rs`).
//! Every write carries a request id, so repeating one is harmless (R3). Decisions rest on error codes alone.

use crate::context::{Context, Endpoint};
use crate::failure::{Failure, of_file};
use crate::reach::Reach;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_proto::status::{ACCEPT_LANGUAGE, ApiError};
use sekisho_proto::v1;
use sekisho_transport::address::Address;
use sekisho_transport::bundle::{Bundle, TrustBundles};
use sekisho_transport::clock::SystemClock;
use sekisho_transport::credential::Identity;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::dial::Dialer;
use sekisho_transport::leader::{CallError, CallOptions, Endpoints, Verdict};
use sekisho_transport::pki::file;
use sekisho_transport::verify::Expect;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::time::{Clock as _, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// Metadata in which a refusal names the leader's address.
const LEADER: &str = "leader";
/// Metadata in which a refusal names another member's address.
const ENDPOINT: &str = "endpoint";

/// A connection to the federation's members.
#[derive(Debug)]
pub struct Client {
    endpoints: Endpoints,
    members: usize,
    timeout: Duration,
    dialer: Dialer,
    language: Language,
    reach: Reach,
    /// When the own certificate ends; `None` without one.
    ends: Option<Timestamp>,
}

/// A request whose caller reads this language.
pub fn asked_in<T>(language: Language, request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.metadata_mut().insert(ACCEPT_LANGUAGE, MetadataValue::from_static(language.tag()));
    request
}

/// Calls `client`: `ask!(client, site_service_client::SiteServiceClient, list_sites, request)`.
#[macro_export]
macro_rules! ask {
    ($client:expr, $service:ident :: $stub:ident, $method:ident, $request:expr) => {{
        let request = $request;
        let language = $client.language();
        $client
            .call(|channel| {
                let request = $crate::client::asked_in(language, request.clone());
                async move { sekisho_proto::v1::$service::$stub::new(channel).$method(request).await }
            })
            .await
    }};
}

impl Client {
    /// A client of a context, and the identity that it shows.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for an unusable identity, `INVALID_ARGUMENT` for other files.
    pub fn open(context: &Context, timeout: Duration) -> Result<(Self, Identity), Failure> {
        Self::open_from(context, timeout, Reach::none())
    }

    /// As [`Client::open`], beginning with the member that answered last.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_from(
        context: &Context,
        timeout: Duration,
        reach: Reach,
    ) -> Result<(Self, Identity), Failure> {
        let identity = identity(context)?;
        let clock = Arc::new(SystemClock);
        let bundles = TrustBundles::new(clock);
        bundles
            .replace(&roots(context)?)
            .map_err(|error| Failure::invalid(format!("roots: {error}")))?;
        let dialer = Dialer::new(Some(identity.clone()), bundles).asking(context.names()?);
        let order = reach.order(&context.addresses()?);
        let client = Self::to(dialer, &order, Expect::AnyMember, timeout)?;
        let ends = Some(identity.validity().1);
        Ok((Self { reach, ends, ..client }, identity))
    }

    fn to(
        dialer: Dialer,
        addresses: &[Address],
        expect: Expect,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let random = StdRng::try_from_os_rng()
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let options = CallOptions::default();
        let endpoints =
            Endpoints::new(dialer.clone(), addresses, expect, options, Box::new(random))
                .map_err(|error| Failure::invalid(format!("endpoints: {error}")))?;
        Ok(Self {
            endpoints,
            members: addresses.len(),
            timeout,
            dialer,
            language: Language::default(),
            reach: Reach::none(),
            ends: None,
        })
    }

    /// The same for somebody who reads this language.
    #[must_use]
    pub fn speaking(self, language: Language) -> Self {
        Self { language, ..self }
    }

    /// In which language its caller reads.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// A client without an identity, of the members of the context's own operator, who have to prove that they are: to log in
    /// with.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for unusable files and addresses, and where the context lists none of the operator's members.
    pub fn anonymous(context: &Context, timeout: Duration) -> Result<Self, Failure> {
        let bundles = TrustBundles::new(Arc::new(SystemClock));
        bundles
            .replace(&roots(context)?)
            .map_err(|error| Failure::invalid(format!("roots: {error}")))?;
        let own = |endpoint: &&Endpoint| endpoint.operator == context.operator;
        let own = Context {
            endpoints: context.endpoints.iter().filter(own).cloned().collect(),
            ..context.clone()
        };
        if own.endpoints.is_empty() {
            let why =
                format!("endpoints: no member of {}, which alone lets its people in", own.operator);
            return Err(Failure::invalid(why));
        }
        let expect = Expect::MemberOf([own.operator.clone()].into());
        let dialer = Dialer::new(None, bundles).asking(context.names()?);
        Self::to(dialer, &own.addresses()?, expect, timeout)
    }

    /// How many members it knows.
    #[must_use]
    pub const fn members(&self) -> usize {
        self.members
    }

    /// A client of one member, who has to prove that it is this very one before it is told anything.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unusable address.
    pub fn of_member(&self, member: &GenesisMember, timeout: Duration) -> Result<Self, Failure> {
        let address = member.address.parse::<Address>();
        let address = address.map_err(|error| Failure::invalid(error.to_string()))?;
        let workload = Workload::Member { site: member.site.clone(), member: member.member.0 };
        let expect = Expect::Principal(Principal { operator: member.operator.clone(), workload });
        let client = Self::to(self.dialer.clone(), &[address], expect, timeout.min(self.timeout))?;
        Ok(client.speaking(self.language))
    }

    /// A client of one address of the context.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unusable address.
    pub fn of_endpoint(&self, endpoint: &Endpoint, timeout: Duration) -> Result<Self, Failure> {
        let address = endpoint.address.parse::<Address>();
        let address = address.map_err(|error| Failure::invalid(error.to_string()))?;
        Self::to(self.dialer.clone(), &[address], Expect::AnyMember, timeout.min(self.timeout))
    }

    /// Remembers the members that the federation names, to be asked when those of the context do not answer.
    pub fn learn(&self, members: &[v1::Member]) {
        let standing = members.iter().filter(|member| member.standing != "removed");
        self.reach.learn(standing.map(|member| member.address.clone()));
    }

    /// How long a call may take as a whole.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Calls until an answer, a final refusal or the deadline.
    ///
    /// # Errors
    /// The member's refusal, or why there was none.
    pub async fn call<T, F, Fut>(&self, call: F) -> Result<T, Failure>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_by(call, decide).await
    }

    /// As [`Client::call`], of what any member does as well as another: one that is busy is left.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_any<T, F, Fut>(&self, call: F) -> Result<T, Failure>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let decide = |status: &Status| match decide(status) {
            Verdict::Again | Verdict::After(_) => Verdict::Next,
            other @ (Verdict::Return | Verdict::Next | Verdict::Leader(_)) => other,
        };
        self.call_by(call, decide).await
    }

    async fn call_by<T, F, Fut>(
        &self,
        call: F,
        decide: impl Fn(&Status) -> Verdict,
    ) -> Result<T, Failure>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Deadline::after(self.timeout);
        let once = |channel| {
            let answer = call(channel);
            async { answer.await.map(Response::into_inner) }
        };
        let (refusals, open) = (AtomicUsize::new(0), AtomicBool::new(false));
        let verdict = |status: &Status| match self.refused(status) {
            // One member may be wrong about us; when each has said so, no repetition helps.
            Some(_)
                if refusals.fetch_add(1, Ordering::Relaxed).saturating_add(1) < self.members =>
            {
                Verdict::Next
            }
            Some(_) => Verdict::Return,
            None => {
                if leaves_open(status) {
                    open.store(true, Ordering::Relaxed);
                }
                decide(status)
            }
        };
        let result = self.endpoints.call(deadline, once, verdict).await;
        if result.is_ok() {
            self.reach.answered(&self.endpoints.current().0);
        }
        let open = open.load(Ordering::Relaxed);
        result.map_err(|error| Failure { open, ..self.failure(&error) })
    }

    /// Who am I, to whom do I talk.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn hello(&self) -> Result<v1::HelloResponse, Failure> {
        ask!(self, member_service_client::MemberServiceClient, hello, v1::HelloRequest {})
    }

    /// Goes on with this member.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unusable address.
    pub fn go_to(&self, address: &Address) -> Result<(), Failure> {
        self.endpoints.go_to(address).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// Leaves the present member for the next.
    pub fn leave(&self) {
        let (address, _) = self.endpoints.current();
        self.endpoints.move_on(&address);
    }

    /// Why the present member refused our certificate, if it did. One that is over is refused by everybody, though the word of it
    /// may be lost with the connection.
    fn refused(&self, status: &Status) -> Option<Arc<String>> {
        let told = self.endpoints.current().1.refused();
        told.or_else(|| {
            let over = self.ends.is_some_and(|ends| SystemClock.wall() >= ends);
            let silent = !ApiError::from_status(status).explained;
            (over && silent).then(|| Arc::new("it has expired, by this machine's clock".to_owned()))
        })
    }

    fn failure(&self, error: &CallError) -> Failure {
        if let Some(why) = self.refused(&error.status) {
            let why = format!("{} refused the certificate: {why}", error.address);
            return Failure::new(ErrorCode::Unauthenticated, why);
        }
        let mut failure = of_status(&error.status);
        let explained = ApiError::from_status(&error.status).explained;
        if !explained {
            let (_, route) = self.endpoints.current();
            let why = route
                .last_error()
                .map_or_else(|| error.status.message().to_owned(), |why| (*why).clone());
            failure.detail = format!("{} ({} attempts): {why}", error.address, error.attempts);
        }
        failure
    }
}

/// A refusal as a failure.
#[must_use]
pub fn of_status(status: &Status) -> Failure {
    let error = ApiError::from_status(status);
    let mut failure = Failure::new(error.code, error.message.clone());
    failure.endpoint = error.metadata.get(ENDPOINT).cloned();
    if let Some(reason) = error.metadata.get("reason") {
        // A code that is newer than this program: its remedy came along, its text did not.
        failure.detail = format!("{reason}: {}", failure.detail);
        failure.remedy = error.metadata.get("remedy").cloned();
    }
    failure
}

/// Whether what was asked may have been done all the same, now or later.
fn leaves_open(status: &Status) -> bool {
    matches!(ApiError::from_status(status).code, ErrorCode::OutcomeUnknown | ErrorCode::Deadline)
}

/// What to do about a refusal.
fn decide(status: &Status) -> Verdict {
    let error = ApiError::from_status(status);
    if error.code == ErrorCode::Overloaded {
        // As the code's page promises: not sooner than the member says.
        return error.retry_after.map_or(Verdict::Again, Verdict::After);
    }
    if !error.code.is_retryable() {
        return Verdict::Return;
    }
    let leader = error.metadata.get(LEADER).and_then(|address| address.parse().ok());
    leader.map_or(Verdict::Next, Verdict::Leader)
}

/// The identity of a context.
///
/// # Errors
/// `UNAUTHENTICATED`.
pub fn identity(context: &Context) -> Result<Identity, Failure> {
    let bad =
        |error: &dyn std::fmt::Display| Failure::new(ErrorCode::Unauthenticated, error.to_string());
    let chain = file::read(&context.identity).map_err(|error| bad(&error))?;
    let key = file::read(&context.identity_key).map_err(|error| bad(&error))?;
    Identity::from_pem(&chain, &key).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        bad(&format!("{}: {error}{}", context.identity.display(), cause.unwrap_or_default()))
    })
}

fn roots(
    context: &Context,
) -> Result<BTreeMap<sekisho_types::principal::TrustDomain, Bundle>, Failure> {
    let read = |root: &crate::context::Root| {
        let pem = file::read(&root.file).map_err(|error| Failure::invalid(error.to_string()))?;
        let bundle = Bundle::from_pem(root.operator.clone(), &pem)
            .map_err(|error| of_file(&root.file, &error))?;
        Ok((root.trust_domain.clone(), bundle))
    };
    context.roots.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_lead_to_the_leader_to_the_next_member_or_back_to_the_caller() {
        let status = |error: ApiError| Status::from(error);
        let led = ApiError::new(ErrorCode::NoLeader, "").with(LEADER, "127.0.0.1:7443");
        assert_eq!(decide(&status(led)), Verdict::Leader("127.0.0.1:7443".parse().unwrap()));
        assert_eq!(decide(&status(ApiError::new(ErrorCode::NoLeader, ""))), Verdict::Next);
        let wait = Duration::from_millis(700);
        let busy = ApiError::new(ErrorCode::Overloaded, "");
        let told = ApiError { retry_after: Some(wait), ..busy };
        assert_eq!(decide(&status(told)), Verdict::After(wait));
        assert_eq!(decide(&Status::resource_exhausted("a proxy is busy")), Verdict::Again);
        assert_eq!(decide(&status(ApiError::new(ErrorCode::OutcomeUnknown, ""))), Verdict::Next);
        assert_eq!(decide(&Status::unavailable("refused")), Verdict::Next);
        for code in [ErrorCode::QuotaNone, ErrorCode::NotFound, ErrorCode::LogsElsewhere] {
            assert_eq!(decide(&status(ApiError::new(code, ""))), Verdict::Return, "{code}");
        }
    }

    /// A client of addresses where nobody listens: the calls of these tests answer themselves.
    fn client(addresses: &[&str]) -> Client {
        let dialer = Dialer::new(None, TrustBundles::new(Arc::new(SystemClock)));
        let addresses: Vec<Address> = addresses.iter().map(|to| to.parse().unwrap()).collect();
        Client::to(dialer, &addresses, Expect::AnyMember, Duration::from_secs(1)).unwrap()
    }

    #[tokio::test]
    async fn where_the_own_certificate_is_over_silence_is_a_refusal_and_an_answer_is_none() {
        let over = Client { ends: Some(Timestamp(1)), ..client(&["127.0.0.1:1"]) };
        let cut = |_channel: Channel| async {
            Err::<Response<()>, Status>(Status::cancelled("operation was canceled"))
        };
        let failure = over.call(cut).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Unauthenticated, "{failure:?}");
        assert!(failure.detail.contains("has expired"), "{failure:?}");
        let answered = |_channel: Channel| async {
            Err::<Response<()>, Status>(ApiError::new(ErrorCode::NotFound, "").into())
        };
        assert_eq!(over.call(answered).await.unwrap_err().code, ErrorCode::NotFound);
        let good = Client { ends: Some(Timestamp(u64::MAX)), ..client(&["127.0.0.1:1"]) };
        assert_ne!(good.call(cut).await.unwrap_err().code, ErrorCode::Unauthenticated);
    }

    #[tokio::test]
    async fn a_write_whose_outcome_was_unknown_once_stays_so_until_somebody_knows() {
        let (client, asked) = (client(&["127.0.0.1:1"]), AtomicUsize::new(0));
        let call = |_channel: Channel| {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            let code = if first { ErrorCode::OutcomeUnknown } else { ErrorCode::NoLeader };
            async move { Err::<Response<()>, Status>(ApiError::new(code, "").into()) }
        };
        let failure = client.call(call).await.unwrap_err();
        assert!(asked.load(Ordering::Relaxed) > 1);
        assert_eq!((failure.code, failure.open), (ErrorCode::NoLeader, true));
        let request = sekisho_types::id::RequestId([7; 16]);
        let failure = failure.of_request(request);
        assert_eq!(failure.exit(), crate::exit::Exit::Timeout);
        assert!(failure.lines(Language::En).join("").contains(&request.to_string()));
        // Where no attempt was left open, nothing happened.
        let never = |_channel: Channel| async {
            Err::<Response<()>, Status>(ApiError::new(ErrorCode::NoLeader, "").into())
        };
        let failure = client.call(never).await.unwrap_err().of_request(request);
        assert_eq!(failure.exit(), crate::exit::Exit::NoLeader);
    }

    #[tokio::test]
    async fn what_any_member_can_do_is_asked_of_the_next_when_one_is_busy() {
        let client = client(&["127.0.0.1:1", "127.0.0.1:2"]);
        let (first, _) = client.endpoints.current();
        let call = |_channel: Channel| {
            let busy = client.endpoints.current().0 == first;
            let full = || ApiError::new(ErrorCode::Overloaded, "1024 watches; ask another one");
            let answer = if busy { Err(Status::from(full())) } else { Ok(Response::new(7)) };
            async move { answer }
        };
        assert_eq!(client.call_any(call).await.unwrap(), 7);
        assert_ne!(client.endpoints.current().0, first);
    }

    #[test]
    fn a_refusal_keeps_its_code_words_and_endpoint() {
        let error = ApiError::new(ErrorCode::LogsElsewhere, "ask hokuto").with(ENDPOINT, "c1:7443");
        let failure = of_status(&error.into());
        assert_eq!(
            (failure.code, failure.detail.as_str()),
            (ErrorCode::LogsElsewhere, "ask hokuto")
        );
        assert_eq!(failure.endpoint.as_deref(), Some("c1:7443"));
    }
}
