//! Which nodes are out of contact, until when at the latest they may still run what they have, and what waits for it.
//!
//! Must hold: only the leader counts leases. What it counts it tells the others with each exchange; a member that has
//! heard nothing of late from the leader that it knows says that it does not know. Nothing here frees anything: capacity
//! comes back with the entry that ends a lease, and a bound that is shown is one, whoever leads on (a change of leader
//! begins a wait anew, and then that is what is shown).

use crate::core::Core;
use crate::duty::{LeaseNews, Silence};
use crate::limit::{SILENT_AFTER, WAITS_MAX};
use sekisho_fsm::State;
use sekisho_fsm::state::{Job, Placement};
use sekisho_proto::field::{FieldError, FieldResult, parsed};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, NodeId};
use sekisho_types::job::OnDisconnect;
use sekisho_types::limit::{LEASE_NEWS_MAX, TEARDOWN_WITHIN, lease_wait};
use sekisho_types::placement::Phase;
use sekisho_types::residency::{Rules, verdict};
use sekisho_types::revision::PlacementId;
use std::sync::Arc;
use std::time::Duration;

/// What a leader told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    from: MemberId,
    at_ns: u64,
    news: Arc<LeaseNews>,
}

/// How a node that has a session stands to the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    /// It renews its lease.
    Live,
    /// It missed beats, or its lease is being taken back.
    Silent(Silence),
    /// Neither this member nor a leader that it hears could say.
    Unknown,
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// As it is some time later.
fn later(silence: Silence, by: Duration) -> Silence {
    Silence {
        silent: silence.silent.saturating_add(by),
        left: silence.left.saturating_sub(by),
        ..silence
    }
}

impl Core {
    /// The newest of what a leader counts, and how old it is.
    fn news(&self) -> Option<(Arc<LeaseNews>, Duration)> {
        let now = self.clock.boottime_ns();
        let age = |at_ns: u64| Duration::from_nanos(now.saturating_sub(at_ns));
        if let Some(own) = self.leases.news() {
            let at = own.at_ns;
            return Some((own, age(at)));
        }
        let told = self.told.lock().clone()?;
        let leads = self.replica.membership().leader == Some(told.from);
        Some((told.news, age(told.at_ns))).filter(|(_, age)| leads && *age <= SILENT_AFTER)
    }

    /// Notes what a member that says it leads told.
    pub(crate) fn hear_leases(&self, from: MemberId, news: LeaseNews) {
        let at_ns = self.clock.boottime_ns();
        *self.told.lock() = Some(Told { from, at_ns, news: Arc::new(news) });
    }

    /// How a node stands that has a session whose lease is live in applied state.
    pub(crate) fn contact(&self, node: &NodeId) -> Contact {
        let here = || self.sessions.unreachable(node, self.clock.boottime_ns()) == Some(false);
        match self.news() {
            Some((news, age)) => match news.silent.get(node) {
                Some(silence) => Contact::Silent(later(*silence, age)),
                None if news.whole || here() => Contact::Live,
                None => Contact::Unknown,
            },
            None if here() => Contact::Live,
            None => Contact::Unknown,
        }
    }

    /// Why a placement's room is not free yet though nothing of it may be wanted any more; `None` if it just runs.
    pub(crate) fn wait_for(
        &self,
        state: &State,
        id: &PlacementId,
        row: &Placement,
    ) -> Option<v1::Wait> {
        if row.phase.is_ended() {
            return None;
        }
        let node = state.node(&row.grant.node)?;
        let contact = node.live_session().map(|_| self.contact(&row.grant.node));
        let stopping = row.phase == Phase::Stopping;
        let silence = match contact {
            Some(Contact::Silent(silence)) => Some(silence),
            Some(Contact::Live | Contact::Unknown) | None => None,
        };
        // What runs to completion outlives every lease: nobody but its host can tell.
        let bound = row.grant.on_disconnect == OnDisconnect::Stop;
        let cause = match (silence.is_some() || contact.is_none(), stopping) {
            (true, _) if bound => v1::wait::Cause::Lease,
            (true, _) => v1::wait::Cause::Host,
            (false, true) => v1::wait::Cause::Teardown,
            (false, false) => return None,
        };
        let teardown = || {
            let (news, age) = self.news()?;
            Some(news.stopping.get(id)?.saturating_sub(age))
        };
        let left = silence.map(|silence| silence.left).or_else(teardown).filter(|_| bound);
        let since = silence
            .map_or_else(|| state.clock().since_ms(row.changed), |silence| ms(silence.silent));
        Some(v1::Wait {
            cause: cause.into(),
            placement: id.to_string(),
            node: row.grant.node.name(),
            for_ms: since,
            left_ms: left.map(ms),
        })
    }

    /// What a queued job waits for: room that is kept by what is stopping, or by nodes out of contact, where it may run;
    /// or, if its tenant's quota is what it lacks, whatever of that tenant is kept so.
    pub(crate) fn waits_before(
        &self,
        state: &State,
        job: &Job,
        binding: Option<ErrorCode>,
    ) -> Vec<v1::Wait> {
        let quota = match binding {
            Some(ErrorCode::CapacityFull) => false,
            Some(ErrorCode::QuotaExceeded) => true,
            Some(_) | None => return Vec::new(),
        };
        let Ok(bound) = state.rules_for(&job.facts) else { return Vec::new() };
        let rules: Vec<&Rules> = bound.iter().map(|bound| &*bound.rules).collect();
        let now = state.clock();
        let (class, tenant) = (&job.facts.resources.class, &job.facts.id.tenant);
        let suits = |row: &Placement| {
            let node = state.node(&row.grant.node);
            let here = || node.is_some_and(|node| verdict(&node.place(now), &rules, now).is_ok());
            row.grant.class == *class
                && if quota { row.grant.job.tenant == *tenant } else { here() }
        };
        let rows = state.placements().filter(|(_, row)| !row.phase.is_ended() && suits(row));
        let waits = rows.filter_map(|(id, row)| self.wait_for(state, id, row));
        waits.take(WAITS_MAX).collect()
    }

    /// What a job that has places waits for.
    pub(crate) fn waits_of(&self, state: &State, job: &Job) -> Vec<v1::Wait> {
        let rows = job.placements.iter().filter_map(|id| Some((id, state.placement(id)?)));
        rows.filter_map(|(id, row)| self.wait_for(state, id, row)).take(WAITS_MAX).collect()
    }
}

impl From<Contact> for v1::Contact {
    fn from(contact: Contact) -> Self {
        match contact {
            Contact::Live => Self { state: v1::contact::State::Live.into(), ..Self::default() },
            Contact::Silent(silence) => Self {
                state: v1::contact::State::Silent.into(),
                silent_ms: ms(silence.silent),
                left_ms: Some(ms(silence.left)),
                expiring: silence.expiring,
            },
            Contact::Unknown => Self::default(),
        }
    }
}

impl From<&LeaseNews> for internal::LeaseNews {
    fn from(news: &LeaseNews) -> Self {
        let silent = |(node, silence): (&NodeId, &Silence)| internal::lease_news::Silent {
            node: node.to_string(),
            silent_ms: ms(silence.silent),
            left_ms: ms(silence.left),
            expiring: silence.expiring,
        };
        let stopping = |(id, left): (&PlacementId, &Duration)| internal::lease_news::Stopping {
            placement: id.to_string(),
            left_ms: ms(*left),
        };
        Self {
            silent: news.silent.iter().map(silent).collect(),
            stopping: news.stopping.iter().map(stopping).collect(),
            whole: news.whole,
        }
    }
}

/// What another member told of its leases, received at `at_ns`.
///
/// # Errors
/// More than fits, a name that is none, or a time that no lease has.
pub(crate) fn news(message: &internal::LeaseNews, at_ns: u64) -> FieldResult<LeaseNews> {
    let longest = lease_wait().saturating_add(TEARDOWN_WITHIN).saturating_add(SILENT_AFTER);
    let left = |ms: u64| {
        let left = Duration::from_millis(ms);
        let must = || FieldError::new("leases.left_ms", "is longer than any wait");
        if left <= longest { Ok(left) } else { Err(must()) }
    };
    if message.silent.len().max(message.stopping.len()) > LEASE_NEWS_MAX {
        return Err(FieldError::new("leases", format!("must have at most {LEASE_NEWS_MAX}")));
    }
    let silent = message.silent.iter().map(|told| {
        let silence = Silence {
            silent: Duration::from_millis(told.silent_ms),
            left: left(told.left_ms)?,
            expiring: told.expiring,
        };
        Ok((parsed("leases.silent.node", &told.node)?, silence))
    });
    let stopping = message.stopping.iter().map(|told| {
        Ok((parsed("leases.stopping.placement", &told.placement)?, left(told.left_ms)?))
    });
    Ok(LeaseNews {
        at_ns,
        silent: silent.collect::<FieldResult<_>>()?,
        stopping: stopping.collect::<FieldResult<_>>()?,
        whole: message.whole,
    })
}

#[cfg(test)]
mod tests;
