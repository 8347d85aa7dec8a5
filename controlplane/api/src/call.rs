//! Who calls, until when, and what they may see.
//!
//! Must hold: the principal comes from the verified certificate alone (transport put it there); agents and members
//! are believed only if applied state lists them with this very key or site (A3, P5), and a person's certificate of a login
//! ends when its key is taken back. What a caller may not read is
//! answered like what does not exist, byte for byte.

use crate::core::federation;
use crate::journal::refuses;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_fsm::State;
use sekisho_fsm::outcome::Rejection;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Node;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::identity::{Peer, PeerIdentity};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::principal::{Principal, Workload};
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::MetadataMap;

/// An authenticated call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub peer: Arc<PeerIdentity>,
    /// Until when the caller waits; `None` if it did not say.
    pub wait: Option<Duration>,
}

impl Call {
    /// Reads the caller of a request.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` without a certificate.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, ApiError> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.identity.clone());
        let none = || refuses(ApiError::new(ErrorCode::Unauthenticated, ""), "");
        Ok(Self { peer: peer.ok_or_else(none)?, wait: timeout(request.metadata()) })
    }

    /// Who calls.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.peer.principal
    }

    /// The earlier of the caller's deadline and `limit` from now (L3).
    #[must_use]
    pub fn deadline(&self, limit: Duration) -> Deadline {
        Deadline::after(self.wait.map_or(limit, |wait| wait.min(limit)))
    }

    /// The caller as an agent that the state lists, with its node.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for anyone else, `NODE_REVOKED` for a node or site taken out.
    pub fn agent<'s>(&self, state: &'s State) -> Result<(NodeId, &'s Node), ApiError> {
        let Workload::Agent { site, node } = &self.principal().workload else {
            return Err(refuses(denied("only agents may call this"), ""));
        };
        let id = NodeId { site: site.clone(), name: node.clone() };
        let known = state.node(&id).filter(|node| {
            node.operator == self.peer.principal.operator && node.node_key == self.peer.spki_sha256
        });
        let unknown = || match state.retired(&self.peer.spki_sha256) {
            Some(retired) => {
                let why = format!("{} was decommissioned", retired.node);
                ApiError::new(ErrorCode::NodeRevoked, why)
            }
            None => denied("no node is enrolled with this certificate"),
        };
        let node = known.ok_or_else(|| refuses(unknown(), id.name()))?;
        check_standing(state, &id, node).map_err(|error| refuses(error, id.name()))?;
        Ok((id, node))
    }

    /// The caller as a member that the state lists.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for anyone else.
    pub fn member<'s>(&self, state: &'s State) -> Result<&'s GenesisMember, ApiError> {
        let Workload::Member { site, member } = &self.principal().workload else {
            return Err(refuses(denied("only members may call this"), ""));
        };
        federation(state)?
            .members
            .get(&MemberId(*member))
            .filter(|m| m.operator == self.principal().operator && m.site == *site)
            .ok_or_else(|| refuses(denied("not a member of this federation"), ""))
    }

    /// The caller as a landmark that runs apart from a controller, of an operator of this federation. Whether it is
    /// registered is another question: one that is not may hear so.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for anyone else.
    pub fn landmark(&self, state: &State) -> Result<LandmarkId, ApiError> {
        let Workload::Landmark { name } = &self.principal().workload else {
            return Err(refuses(denied("only landmarks may call this"), ""));
        };
        let operator = &self.principal().operator;
        if federation(state)?.bundle.keys(operator).is_none() {
            return Err(refuses(denied("not a landmark of this federation"), ""));
        }
        Ok(LandmarkId { operator: operator.clone(), name: name.clone() })
    }

    /// Whether the certificate still counts: one of a login ends with its key. Roles do not tell, because a person may
    /// have logged in twice, and another login may be in force.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn in_force(&self, state: &State) -> Result<(), ApiError> {
        if !state.certificate_ended(self.principal(), &self.peer.spki_sha256) {
            return Ok(());
        }
        let why = "the key that came with the certificate was taken back";
        Err(refuses(ApiError::new(ErrorCode::Unauthenticated, why), ""))
    }

    /// Allows a read of the federation as a whole, or of what is visible to all of its readers.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, and what [`Self::in_force`] says.
    pub fn may(&self, state: &State, verb: Verb, target: Target<'_>) -> Result<(), ApiError> {
        self.in_force(state)?;
        state
            .authorize(self.principal(), verb, target)
            .map_err(|rejection| refuses(rejected(&rejection), shown(target)))
    }

    /// Whether the caller may do `verb` to `target`.
    #[must_use]
    pub fn can(&self, state: &State, verb: Verb, target: Target<'_>) -> bool {
        !state.certificate_ended(self.principal(), &self.peer.spki_sha256)
            && state.authorize(self.principal(), verb, target).is_ok()
    }

    /// Allows `verb` on one resource. Whoever may not even read it learns nothing about its existence.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` to those who may read it, `NOT_FOUND` to all others; and what [`Self::in_force`] says.
    pub fn may_on(
        &self,
        state: &State,
        verb: Verb,
        read: Verb,
        target: Target<'_>,
        name: &str,
    ) -> Result<(), ApiError> {
        self.in_force(state)?;
        match state.authorize(self.principal(), verb, target) {
            Ok(()) => Ok(()),
            Err(rejection) => {
                let known = self.can(state, read, target);
                let error = if known { rejected(&rejection) } else { not_found(name) };
                Err(refuses(error, name))
            }
        }
    }
}

/// Whether a node and its site are still in.
pub(crate) fn check_standing(state: &State, id: &NodeId, node: &Node) -> Result<(), ApiError> {
    let site_out = state.site(&id.site).is_none_or(|site| site.revoked);
    if node.revoked || site_out {
        return Err(ApiError::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
    }
    Ok(())
}

/// Whether there is one host of a node.
pub(crate) fn check_alone(id: &NodeId, node: &Node) -> Result<(), ApiError> {
    if node.quarantine.is_none() {
        return Ok(());
    }
    Err(quarantined(id))
}

/// What every host of a node in quarantine hears.
pub(crate) fn quarantined(id: &NodeId) -> ApiError {
    ApiError::new(ErrorCode::NodeQuarantined, format!("two hosts claim to be {id}"))
}

/// A target as the journal names it.
fn shown(target: Target<'_>) -> String {
    match target {
        Target::Federation => "federation".to_owned(),
        Target::Operator(operator) => format!("operators/{operator}"),
        Target::Tenant(tenant) => format!("tenants/{tenant}"),
    }
}

fn denied(why: &str) -> ApiError {
    ApiError::new(ErrorCode::PermissionDenied, why)
}

/// There is no such resource, or the caller may not know.
pub(crate) fn not_found(name: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("{name} does not exist, or you may not see it"))
        .with("resource", name)
}

/// A rejection of apply, as the caller sees it.
pub(crate) fn rejected(rejection: &Rejection) -> ApiError {
    let Rejection { code, detail, item } = rejection;
    match item {
        None => ApiError::new(*code, detail.clone()),
        Some(item) => ApiError::new(*code, format!("item {item} of the batch: {detail}"))
            .with("item", item.to_string()),
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(number.saturating_mul(60))),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use sekisho_evidence::canonical::encode;
    use sekisho_evidence::key::{Purpose, SigningKey};
    use sekisho_evidence::voucher::{Voucher, possession};
    use sekisho_fsm::command::{Command, Login};
    use sekisho_fsm::testing;
    use sekisho_types::id::{Digest, PublicKey, TenantId};
    use sekisho_types::principal::{KeyRecord, Role};

    #[test]
    fn the_callers_deadline_counts_when_it_is_the_earlier() {
        for (text, wait) in [
            ("5S", Some(Duration::from_secs(5))),
            ("200m", Some(Duration::from_millis(200))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
            ("1x", None),
            ("1é", None),
        ] {
            let mut metadata = MetadataMap::new();
            if let Ok(value) = text.parse() {
                metadata.insert("grpc-timeout", value);
            }
            assert_eq!(timeout(&metadata), wait, "{text}");
        }
        let call =
            Call { wait: Some(Duration::from_secs(1)), ..fake::call(&testing::admin("kanto")) };
        assert!(call.deadline(Duration::from_secs(9)).remaining() <= Duration::from_secs(1));
        assert!(call.deadline(Duration::ZERO).passed());
    }

    #[test]
    fn existence_is_hidden_from_those_who_may_not_read() {
        let federation = testing::Federation::furnished();
        let tenant = "sapporo".parse().unwrap();
        let ask = |principal, verb| {
            let target = Target::Tenant(&tenant);
            fake::call(&principal)
                .may_on(&federation.state, verb, Verb::ReadTenant, target, "tenants/sapporo")
                .map_err(|error| error.code)
        };
        assert_eq!(ask(testing::user("kanto", "sapporo"), Verb::SubmitJob), Ok(()));
        // A federation-admin may know of the tenant and may not touch its work.
        let admin = testing::admin("hokuto");
        assert_eq!(ask(admin, Verb::SubmitJob), Err(ErrorCode::PermissionDenied));
        let stranger = testing::user("hokuto", "stranger");
        assert_eq!(ask(stranger.clone(), Verb::SubmitJob), Err(ErrorCode::NotFound));
        let nothing = "nowhere".parse().unwrap();
        let unknown = fake::call(&stranger).may_on(
            &federation.state,
            Verb::SubmitJob,
            Verb::ReadTenant,
            Target::Tenant(&nothing),
            "tenants/nowhere",
        );
        assert_eq!(unknown.unwrap_err().code, ErrorCode::NotFound);
    }

    #[test]
    fn agents_and_members_are_believed_only_as_the_state_lists_them() {
        let mut federation = testing::Federation::furnished();
        let node: NodeId = "tokyo-1/n-01".parse().unwrap();
        let agent = fake::call(&testing::agent(&node));
        assert_eq!(agent.agent(&federation.state).unwrap().0, node);
        let mut stolen = (*agent.peer).clone();
        stolen.spki_sha256 = Digest([0; 32]);
        let stolen = Call { peer: Arc::new(stolen), wait: None };
        let code = |call: &Call, state: &State| call.agent(state).map(|_| ()).unwrap_err().code;
        assert_eq!(code(&stolen, &federation.state), ErrorCode::PermissionDenied);
        let member = fake::call(&testing::member("kanto"));
        assert_eq!(member.member(&federation.state).unwrap().member, MemberId(2));
        assert_eq!(code(&member, &federation.state), ErrorCode::PermissionDenied);
        let mut elsewhere = testing::member("kanto");
        elsewhere.workload = Workload::Member { site: "sakai-1".parse().unwrap(), member: 2 };
        fake::call(&elsewhere).member(&federation.state).unwrap_err();
        federation.accept(testing::admin("kanto"), Command::RevokeNode { node });
        assert_eq!(code(&agent, &federation.state), ErrorCode::NodeRevoked);
    }

    /// Logs a person in by a file, and the call over the certificate that came with it.
    fn logged_in(
        federation: &mut testing::Federation,
        principal: &Principal,
        tenant: &TenantId,
        seed: u8,
    ) -> (Call, PublicKey) {
        let (own, spki) = (SigningKey::from_seed(&[seed; 32]), Digest([seed; 32]));
        let record = KeyRecord {
            principal: principal.clone(),
            role: Role::TenantUser(tenant.clone()),
            public_key: own.public(),
            expires: federation.state.clock().plus_ms(3_600_000),
        };
        let bytes = encode(&record).unwrap();
        let issuer = testing::key("issuer", "kanto").sign(Purpose::KeyRecord, &bytes);
        let login = Login {
            record,
            voucher: Voucher::Issuer(issuer),
            certificate_key: spki,
            possession: possession(&own, &spki),
        };
        federation.accept(testing::member("kanto"), Command::Login(Box::new(login)));
        let mut peer = (*fake::call(principal).peer).clone();
        peer.spki_sha256 = spki;
        (Call { peer: Arc::new(peer), wait: None }, own.public())
    }

    #[test]
    fn a_login_that_is_taken_back_ends_its_certificate_and_no_other() {
        let mut federation = testing::Federation::furnished();
        let (alice, tenant) = (testing::user("kanto", "alice"), "sapporo".parse().unwrap());
        let (first, key) = logged_in(&mut federation, &alice, &tenant, 7);
        let (second, _) = logged_in(&mut federation, &alice, &tenant, 8);
        let (verb, target) = (Verb::ReadLogs, Target::Tenant(&tenant));
        assert_eq!(first.may(&federation.state, verb, target).map_err(|error| error.code), Ok(()));
        federation.accept(alice.clone(), Command::RevokeKey { principal: alice, key });
        let state = &federation.state;
        let refused = first.may(state, verb, target).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
        let refused = first.may_on(state, verb, verb, target, "tenants/sapporo").unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
        assert!(!first.can(state, verb, target) && second.can(state, verb, target));
        assert_eq!(second.may(state, verb, target).map_err(|error| error.code), Ok(()));
    }
}
