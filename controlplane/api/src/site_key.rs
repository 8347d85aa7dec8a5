//! The keys of this operator's sites: given to the state where one is due, and handed to the sites' agents.
//!
//! Must hold: a site without a key, with one that a host of it held that was taken out, or with one that this operator's
//! site-tag key does not give any more, gets the next; whoever of the operator's members comes first. A secret key goes to
//! nodes of its site only, sealed to a key that the node itself signed. The secrets stay with the issuer.

use crate::core::{Core, federation};
use crate::issuer::IssueError;
use crate::limit::SITE_KEYS_EVERY;
use sekisho_evidence::sealed::{SignedNodeSealing, SignedSiteKey, SiteKeyRecord};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::state::{Node, Site};
use sekisho_proto::field::FieldError;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::status::ApiError;
use sekisho_transport::task::TaskKind;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::revision::KeyEpoch;
use std::sync::Arc;

fn internal(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, error.to_string())
}

impl Core {
    /// Looks after the keys of this operator's sites, until the tasks end.
    pub fn start_site_keys(self: &Arc<Self>) {
        let core = Arc::clone(self);
        self.tasks.spawn(TaskKind::Ordinary, "site-keys", async move {
            loop {
                core.give_site_keys().await;
                tokio::time::sleep(SITE_KEYS_EVERY).await;
            }
        });
    }

    /// Gives each site of this operator the key that is due.
    pub(crate) async fn give_site_keys(&self) {
        let state = self.replica.state();
        let own = |site: &Site| site.operator == self.identity.operator && !site.revoked;
        let own: Vec<(SiteId, Site)> = state
            .sites()
            .filter(|(_, site)| own(site))
            .map(|(id, site)| (id.clone(), site.clone()))
            .collect();
        for (id, site) in &own {
            let due = match self.due(&state, id) {
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(site = %id, %error, "the key of the site cannot be told");
                    continue;
                }
            };
            let Some(epoch) = due else { continue };
            if let Err(error) = self.give(&state, id, site, epoch).await {
                // Another member of the operator may have come first.
                let first = error.code == ErrorCode::AlreadyExists;
                if !first {
                    tracing::warn!(site = %id, %error, "the site did not get its next key");
                }
            }
        }
    }

    /// The epoch that a site is due to get. Nothing is due to who has not the site-tag key in use: while one is replaced, two
    /// members would give keys in turn for ever.
    fn due(&self, state: &State, site: &SiteId) -> Result<Option<KeyEpoch>, IssueError> {
        let Some(federation) = state.federation() else { return Ok(None) };
        let keys = federation.bundle.keys(&self.identity.operator);
        let in_use = keys.map(|keys| keys.site_tags.current);
        if in_use.is_none() || self.issuer.site_tag_key() != in_use {
            return Ok(None);
        }
        let Some(held) = state.site_keys(site) else { return Ok(Some(KeyEpoch(1))) };
        let current = &held.current.record.key;
        let same = self.issuer.site_key(&federation.cluster, site, current.epoch)? == *current;
        let next = KeyEpoch(current.epoch.0.saturating_add(1));
        Ok((held.outdated || !same).then_some(next))
    }

    async fn give(
        &self,
        state: &State,
        id: &SiteId,
        site: &Site,
        epoch: KeyEpoch,
    ) -> Result<(), ApiError> {
        let key = self.sign_site_key(state, id, site, epoch)?;
        let command = Command::PutSiteKey(Box::new(key));
        let revision = self.write_for(self.identity.principal(), command, None).await?;
        tracing::info!(site = %id, %epoch, %revision, "the site has its next key");
        Ok(())
    }

    fn sign_site_key(
        &self,
        state: &State,
        id: &SiteId,
        site: &Site,
        epoch: KeyEpoch,
    ) -> Result<SignedSiteKey, ApiError> {
        let cluster = federation(state)?.cluster;
        let key = self.issuer.site_key(&cluster, id, epoch).map_err(|error| internal(&error))?;
        let (operator, area) = (site.operator.clone(), site.area);
        let record = SiteKeyRecord { cluster, operator, area, key };
        self.issuer.sign_site_key(record).map_err(|error| internal(&error))
    }

    /// The keys of a node's site that still open anything, sealed to the node.
    pub(crate) fn keys_for(
        &self,
        state: &State,
        (id, node): (&NodeId, &Node),
        record: &[u8],
    ) -> Result<internal::FetchSiteKeysResponse, ApiError> {
        // Who its operator has not looked at yet gets nothing that cannot be taken back.
        if !node.approved {
            return Err(ApiError::new(ErrorCode::NodePending, format!("{id} is not approved")));
        }
        let bad = |error: &dyn std::fmt::Display| FieldError::new("record", error.to_string());
        let signed = SignedNodeSealing::parse(record).map_err(|error| bad(&error))?;
        let cluster = federation(state)?.cluster;
        let to = signed.verify(&cluster, &node.receipt_key).map_err(|error| bad(&error))?;
        if to.node != *id || to.node_key != node.node_key {
            return Err(bad(&"is of another host").into());
        }
        let none = || ApiError::new(ErrorCode::NotFound, format!("site {}", id.site));
        let site = state.site(&id.site).ok_or_else(none)?;
        self.own_operator(state, site)?;
        let mut keys = Vec::new();
        for key in state.site_keys(&id.site).into_iter().flat_map(|held| held.keys()) {
            let signed = self.sign_site_key(state, &id.site, site, key.epoch)?;
            // Of a site-tag key that was given up since: nobody has it any more but the agents that were here before.
            if signed.record.key != *key {
                continue;
            }
            let sealed = self.issuer.deliver_site_key(key.epoch, to);
            let sealed = sealed.map_err(|error| bad(&error))?.bytes();
            keys.push(internal::fetch_site_keys_response::SiteKey {
                signed: signed.bytes().map_err(|error| internal(&error))?.into(),
                sealed: sealed.map_err(|error| internal(&error))?.into(),
            });
        }
        Ok(internal::FetchSiteKeysResponse { keys })
    }
}
