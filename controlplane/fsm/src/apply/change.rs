//! One entry's change in the making: the state, the entry, and what the change has touched so far.

use super::{Ahead, Source, quarantine};
use crate::command::Command;
use crate::entry::Entry;
use crate::event::Event;
use crate::outcome::{PayloadEffect, Rejection};
use crate::role::{SIGNATURES_MAX, Target, Verb};
use crate::state::{Federation, Key, Node, Site, State};
use sekisho_evidence::batch::Place;
use sekisho_evidence::record::Body;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ApprovalId, Digest, MemberId, NodeId, OperatorId, PublicKey, SiteId};
use sekisho_types::limit::TEXT_MAX;
use sekisho_types::principal::{Principal, Workload};
use sekisho_types::revision::{Epoch, PlacementId, Revision};
use sekisho_types::time::{Date, Timestamp};
use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a change leaves behind beside the state.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Nodes whose desired set changed.
    pub(super) touched: BTreeSet<NodeId>,
    pub(super) events: BTreeSet<Event>,
    pub(super) payloads: Vec<PayloadEffect>,
    /// Whether every voter signs a checkpoint now.
    pub(super) checkpoint: bool,
    /// Whether a tick found something due: then it leaves a record.
    pub(super) acted: bool,
}

/// What is left of a change that was made.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) effects: Effects,
    /// Records that follow the entry's own, before those of grants.
    pub(super) told: Vec<Body>,
    pub(super) grants: Vec<PlacementId>,
}

#[derive(Debug)]
pub(super) struct Change<'c> {
    pub(super) state: &'c mut State,
    pub(super) revision: Revision,
    pub(super) entry: &'c Entry,
    ahead: Ahead,
    pub(super) source: Source,
    pub(super) effects: Effects,
    pub(super) grants: Vec<PlacementId>,
    /// Content of the job that is at hand.
    pub(super) payload: &'c [u8],
    /// Which command of a batch is at hand; zero of one that came alone.
    pub(super) ordinal: u32,
    /// The approval that this entry settled, and the code with which it failed.
    pub(super) settled: Option<(ApprovalId, Option<ErrorCode>)>,
    /// The break-glass without which the actor might not do what it does.
    pub(super) glass: Cell<Option<Revision>>,
    /// Of [`Self::submitter`], once it was asked for.
    submitter: OnceCell<Arc<Principal>>,
    /// A look at what is proposed: the signature of the proposer is enough.
    pub(super) one_suffices: bool,
    /// Jobs judged so far because one that they wait for started or ended.
    pub(super) judged: usize,
}

impl<'c> Change<'c> {
    pub(super) fn new(
        state: &'c mut State,
        revision: Revision,
        entry: &'c Entry,
        ahead: Ahead,
        source: Source,
    ) -> Self {
        let (effects, grants) = (Effects::default(), Vec::new());
        let (payload, ordinal) = (entry.payload.as_slice(), 0);
        let (settled, glass, one_suffices) = (None, Cell::new(None), false);
        Self {
            state,
            revision,
            entry,
            ahead,
            source,
            effects,
            grants,
            payload,
            ordinal,
            settled,
            glass,
            submitter: OnceCell::new(),
            one_suffices,
            judged: 0,
        }
    }

    /// Who submits the jobs of this entry: one name for all of them.
    pub(super) fn submitter(&self) -> Arc<Principal> {
        Arc::clone(self.submitter.get_or_init(|| Arc::new(self.entry.actor.clone())))
    }

    pub(super) fn finish(mut self, accepted: bool) -> Finished {
        if !self.effects.touched.is_empty() {
            self.effects.checkpoint = true;
        }
        let settled = self.settled.map(|(id, failed)| Body::Approval { id, failed });
        let glass = self.glass.get().map(|opened| Body::BreakGlass { opened });
        let told = settled.into_iter().chain(glass).filter(|_| accepted).collect();
        Finished { effects: self.effects, told, grants: self.grants }
    }

    /// What a signature binds of the entry's command.
    pub(super) fn digest(&self) -> Digest {
        self.ahead.command
    }

    /// Changes a node in a way that readers and the planner care about.
    pub(super) fn set_node(&mut self, id: &NodeId, set: impl FnOnce(&mut Node)) {
        let revision = self.revision;
        self.state.nodes.update(id, |node| {
            set(node);
            node.revision = revision;
        });
        self.effects.events.insert(Event::Node(id.clone()));
        self.effects.events.insert(Event::Plannable);
    }

    /// Registers a site.
    pub(super) fn put_site(&mut self, id: &SiteId, row: Site) {
        self.state.sites.insert(id.clone(), row);
        self.effects.events.insert(Event::Site(id.clone()));
    }

    /// Registers a key. The certificate that it came with stays known: it has to end with the key.
    pub(super) fn put_key(&mut self, id: (Principal, PublicKey), mut row: Key) {
        let before = self.state.keys.get(&id).and_then(|before| before.certificate);
        row.certificate = row.certificate.or(before);
        self.state.keys.insert(id.clone(), row);
        self.effects.events.insert(Event::Key(Box::new(id)));
    }

    /// Takes the row of a key out.
    pub(super) fn drop_key(&mut self, id: (Principal, PublicKey)) {
        if self.state.keys.remove(&id).is_some_and(|row| !row.revoked) {
            self.effects.events.insert(Event::Key(Box::new(id)));
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.state.clock
    }

    /// The day by which areas are judged.
    pub(super) fn today(&self) -> Date {
        self.state.clock.date_in_japan()
    }

    /// What holds for every command: right federation, known level, bounded signatures.
    pub(super) fn admit(&self) -> Result<(), Rejection> {
        if self.entry.signatures.len() > SIGNATURES_MAX {
            return Err(Rejection::new(ErrorCode::TooLarge, "too many signatures"));
        }
        let with_payload = matches!(
            self.entry.command,
            Command::SubmitJob { .. }
                | Command::ResealJob { .. }
                | Command::ReplaceJob { .. }
                | Command::Adopt { .. }
                | Command::Batch(_)
        );
        if !with_payload && !self.entry.payload.is_empty() {
            return Err(Rejection::new(ErrorCode::InvalidArgument, "only a job has a payload"));
        }
        let Some(federation) = self.state.federation.as_ref() else {
            if matches!(self.entry.command, Command::Bootstrap(_)) {
                return Ok(());
            }
            return Err(Rejection::new(ErrorCode::WrongCluster, "the federation has not begun"));
        };
        let opens = matches!(self.entry.command, Command::OpenIncarnation { .. });
        let life = federation.incarnation.0.saturating_add(u64::from(opens));
        if self.entry.cluster != federation.cluster || self.entry.incarnation.0 != life {
            return Err(Rejection::new(
                ErrorCode::WrongCluster,
                "the entry is of another cluster or incarnation",
            ));
        }
        if self.entry.feature_level > self.state.feature_level {
            let why = format!("level {} is in force", self.state.feature_level);
            return Err(Rejection::new(ErrorCode::FeatureLevel, why));
        }
        Ok(())
    }

    pub(super) fn federation(&self) -> Result<&Federation, Rejection> {
        self.state
            .federation()
            .ok_or_else(|| Rejection::new(ErrorCode::WrongCluster, "the federation has not begun"))
    }

    pub(super) fn epoch(&self) -> Result<Epoch, Rejection> {
        Ok(Epoch { incarnation: self.federation()?.incarnation, revision: self.revision })
    }

    pub(super) fn authorize(&self, verb: Verb, target: Target<'_>) -> Result<(), Rejection> {
        let need = self.state.signers_needed(verb);
        self.authorize_as((verb, target), if self.one_suffices { need.min(1) } else { need })
    }

    /// As [`Self::authorize`], where this many operators have to have signed the entry.
    pub(super) fn authorize_as(
        &self,
        (verb, target): (Verb, Target<'_>),
        need: u32,
    ) -> Result<(), Rejection> {
        self.state.authorize_entry(self.entry, &self.ahead, (verb, target), need)?;
        if let Some(glass) = self.state.glass_of(&self.entry.actor, verb)
            && !self.state.holds(&self.entry.actor, verb, target)
        {
            self.glass.set(Some(glass));
        }
        Ok(())
    }

    /// Checks every signature of the entry once: each command of a batch is authorized by itself, and the same bytes are
    /// signed for all of them.
    pub(super) fn check_signatures_once(&mut self) -> Result<(), Rejection> {
        if self.ahead.signed {
            return Ok(());
        }
        let intention = self.entry.intention_of(self.ahead.command);
        let bad = self.entry.signatures.iter().find(|one| one.check(&intention).is_err());
        if let Some(bad) = bad {
            let why = format!("signature of {}", bad.principal);
            return Err(Rejection::new(ErrorCode::SignatureInvalid, why));
        }
        self.ahead.signed = true;
        Ok(())
    }

    /// Where the command at hand stands in its batch.
    pub(super) fn place(&self) -> Option<Place> {
        self.ahead.tree.as_ref()?.place(self.ordinal)
    }

    /// The actor as a member of the federation, at its own site and of its own operator.
    pub(super) fn member(&self) -> Result<&OperatorId, Rejection> {
        let denied = || Rejection::new(ErrorCode::PermissionDenied, "only a member may do this");
        let Workload::Member { site, member } = &self.entry.actor.workload else {
            return Err(denied());
        };
        let known = self.federation()?.members.get(&MemberId(*member)).ok_or_else(denied)?;
        if known.site != *site || known.operator != self.entry.actor.operator {
            return Err(denied());
        }
        Ok(&known.operator)
    }

    /// The actor as the agent of `id`, which must not be revoked or in quarantine.
    pub(super) fn agent(&self, id: &NodeId) -> Result<&Node, Rejection> {
        let node = self.agent_even_revoked(id)?;
        if node.revoked {
            return Err(Rejection::new(ErrorCode::NodeRevoked, format!("{id} was revoked")));
        }
        quarantine::free(id, node)?;
        Ok(node)
    }

    /// The actor as the agent of `id`. A revoked node may still say that something ended: that only narrows, and
    /// without it what ran to completion there would stay charged for ever (Q2).
    pub(super) fn agent_even_revoked(&self, id: &NodeId) -> Result<&Node, Rejection> {
        let denied = || {
            Rejection::new(
                ErrorCode::PermissionDenied,
                format!("only the agent of {id} may do this"),
            )
        };
        let Workload::Agent { site, node } = &self.entry.actor.workload else {
            return Err(denied());
        };
        if *site != id.site || *node != id.name {
            return Err(denied());
        }
        let node = self.state.nodes.get(id).ok_or_else(denied)?;
        if node.operator != self.entry.actor.operator {
            return Err(denied());
        }
        Ok(node)
    }

    pub(super) fn text(text: &str, field: &str) -> Result<(), Rejection> {
        if text.len() <= TEXT_MAX {
            return Ok(());
        }
        Err(Rejection::new(ErrorCode::TooLarge, format!("{field}: at most {TEXT_MAX} bytes")))
    }

    /// Compares the revision that the caller read with the one that stands.
    pub(super) fn unchanged(
        expected: Option<Revision>,
        found: Option<Revision>,
        what: &str,
    ) -> Result<(), Rejection> {
        match (expected, found) {
            (None, None) => Ok(()),
            (Some(read), Some(stands)) if read == stands => Ok(()),
            (None, Some(_)) => {
                Err(Rejection::new(ErrorCode::AlreadyExists, format!("{what} exists")))
            }
            (Some(_), None) => {
                Err(Rejection::new(ErrorCode::NotFound, format!("{what} does not exist")))
            }
            (Some(_), Some(stands)) => Err(Rejection::new(
                ErrorCode::RevisionMismatch,
                format!("{what} is at revision {stands} now"),
            )),
        }
    }
}

pub(super) fn not_found(what: impl std::fmt::Display) -> Rejection {
    Rejection::new(ErrorCode::NotFound, format!("{what} does not exist"))
}

/// A deletion of what something refers to.
pub(super) fn in_use(why: String) -> Rejection {
    Rejection::new(ErrorCode::ResourceInUse, why)
}
