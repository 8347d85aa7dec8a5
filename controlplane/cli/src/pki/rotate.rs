//! Replacing an operator's keys: the new ones are made beside the old, and moved into their place once the federation
//! counts both.
//!
//! Must hold: nothing is overwritten or thrown away: old keys go to `old/TIME`, because backups of before need them;
//! repeatable at any point, because a host may fail between two files; in the end every key in its place is the one that
//! the federation counts, wherever it lay.

use super::{CARD_FILE, ISSUER_SIGN_FILE, OperatorDir, SITE_TAG_FILE, new_key, pki, private_dir};
use crate::app::random;
use crate::failure::{Failure, of_file};
use sekisho_evidence::genesis::GenesisSite;
use sekisho_evidence::operator::{BackupKey, BundleRoot, Keys, OperatorKeys};
use sekisho_transport::bundle::Bundle;
use sekisho_transport::pki::backup::BackupIdentity;
use sekisho_transport::pki::file::{self, ROOT_FILE, ROOT_KEY_FILE};
use sekisho_transport::pki::{OperatorCa, root_hash, signing};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, PublicKey};
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Secret key that backups are encrypted to.
pub const BACKUP_FILE: &str = "backup.key";

/// The files by which keys are known, and what they are. The root's key goes with its certificate.
const KEYS: [(&str, &str); 4] = [
    (ROOT_FILE, "root"),
    (ISSUER_SIGN_FILE, "issuer key"),
    (SITE_TAG_FILE, "site-tag key"),
    (BACKUP_FILE, "backup key"),
];

/// What of an operator's keys is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The root certificate.
    Root,
    /// The key that signs key records and bundles.
    Issuer,
    /// The key that signs site tags.
    SiteTag,
    /// The key that backups are encrypted to.
    Backup,
}

/// A backup key in a file, made if it is not there.
pub(super) fn backup_key(path: &Path) -> Result<BackupKey, Failure> {
    let identity = if path.exists() {
        BackupIdentity::read(path).map_err(|error| of_file(path, &error))?
    } else {
        let made = BackupIdentity::from_seed(random()?);
        made.write(path).map_err(|error| of_file(path, &error))?;
        made
    };
    Ok(identity.public())
}

fn signing_key(path: &Path) -> Result<PublicKey, Failure> {
    let key = if path.exists() {
        signing::read(path).map_err(|error| of_file(path, &error))?
    } else {
        new_key(path)?
    };
    Ok(key.public())
}

/// Whether the key or root in this file, of this name, is the one that the federation counts.
fn counts(path: &Path, name: &str, held: &OperatorKeys) -> Result<bool, Failure> {
    let invalid = |error: &dyn std::fmt::Display| Failure::invalid(error.to_string());
    Ok(match name {
        ROOT_FILE => {
            let pem = file::read(path).map_err(|error| invalid(&error))?;
            let bundle = Bundle::from_pem(held.operator.clone(), &pem);
            let bundle = bundle.map_err(|error| invalid(&error))?;
            bundle.roots.iter().all(|root| root_hash(root) == held.roots.current)
        }
        ISSUER_SIGN_FILE => signing_key(path)? == held.issuers.current,
        SITE_TAG_FILE => signing_key(path)? == held.site_tags.current,
        _ => backup_key(path)? == held.backups.current,
    })
}

fn replacing<T: Clone>(held: &Keys<T>, current: T) -> Keys<T> {
    Keys { current, other: Some(held.current.clone()) }
}

impl OperatorDir {
    pub(super) fn next(&self) -> PathBuf {
        self.path().join("next")
    }

    /// New keys in `next`, beside those that are held. Returns the keys for the bundle, and a new root.
    ///
    /// # Errors
    /// What the directory or the authority says.
    pub fn renew_keys(
        &self,
        held: &OperatorKeys,
        parts: &[Part],
        now: Timestamp,
    ) -> Result<(OperatorKeys, Option<BundleRoot>), Failure> {
        let (dir, mut keys, mut root) = (self.next(), held.clone(), None);
        private_dir(&dir)?;
        for part in parts {
            match part {
                Part::Root => {
                    if !dir.join(ROOT_FILE).exists() {
                        let domain = held.trust_domain.clone();
                        let ca = OperatorCa::create(held.operator.clone(), domain, now);
                        ca.and_then(|ca| ca.save(&dir)).map_err(|error| pki(&error))?;
                    }
                    let ca = OperatorCa::load(&dir).map_err(|error| pki(&error))?;
                    keys.roots = replacing(&held.roots, root_hash(ca.root()));
                    let der = ca.root().to_vec();
                    root = Some(BundleRoot { operator: held.operator.clone(), der });
                }
                Part::Issuer => {
                    let key = signing_key(&dir.join(ISSUER_SIGN_FILE))?;
                    keys.issuers = replacing(&held.issuers, key);
                }
                Part::SiteTag => {
                    let key = signing_key(&dir.join(SITE_TAG_FILE))?;
                    keys.site_tags = replacing(&held.site_tags, key);
                }
                Part::Backup => {
                    let key = backup_key(&dir.join(BACKUP_FILE))?;
                    keys.backups = replacing(&held.backups, key);
                }
            }
        }
        Ok((keys, root))
    }

    /// Moves the new keys into the place of the old ones, once `held`, the keys that the federation counts, has them;
    /// brings those back that count again because the replacement was called off. Returns whether certificates still have
    /// to be made under another root: then [`Self::reissue`].
    ///
    /// # Errors
    /// `WRONG_PHASE` if the rotation has not begun.
    pub fn install(&self, held: &OperatorKeys, now: Timestamp) -> Result<bool, Failure> {
        let (next, old) = (self.next(), self.old(now));
        let early = |what: &str| {
            let why = format!("the new {what} does not count yet");
            Failure::new(ErrorCode::WrongPhase, why).remedy(
                "send the rotation first: `sekisho operator rotate FILE`; if it was called off: --discard",
            )
        };
        let mut moved = Vec::new();
        let mut take = |file: &'static str, counts: bool, what: &str| {
            if !counts {
                return Err(early(what));
            }
            moved.push(file);
            Ok(())
        };
        for (name, what) in KEYS {
            if next.join(name).exists() {
                let counts = counts(&next.join(name), name, held)?;
                if name == ROOT_FILE {
                    // The key first: whoever finds the certificate finds its key.
                    take(ROOT_KEY_FILE, counts, what)?;
                }
                take(name, counts, what)?;
            }
        }
        private_dir(&old)?;
        if moved.contains(&ROOT_FILE) {
            self.mark_reissue()?;
        }
        for name in moved {
            self.put_in_place(&next.join(name), name, &old)?;
        }
        self.bring_back(held, &old)?;
        self.write_card(|card| {
            card.keys = held.clone();
        })?;
        Ok(self.reissue_mark().exists())
    }

    /// Moves keys that were made and do not count out of the way.
    ///
    /// # Errors
    /// `WRONG_PHASE` if one of them counts.
    pub fn discard(&self, held: &OperatorKeys, now: Timestamp) -> Result<(), Failure> {
        let next = self.next();
        for (name, _) in KEYS {
            let path = next.join(name);
            if path.exists() && counts(&path, name, held)? {
                let why = format!("{} counts already", path.display());
                return Err(Failure::new(ErrorCode::WrongPhase, why)
                    .remedy("leave --discard out, or call the replacement off first: --abort"));
            }
        }
        let old = self.old(now);
        private_dir(&old)?;
        for name in [ROOT_KEY_FILE].into_iter().chain(KEYS.map(|(name, _)| name)) {
            let (from, to) = (next.join(name), old.join(format!("{name}.discarded")));
            if from.exists() {
                std::fs::rename(&from, &to).map_err(|error| of_file(&from, &error))?;
            }
        }
        Ok(())
    }

    fn old(&self, now: Timestamp) -> PathBuf {
        self.path().join("old").join(now.0.to_string())
    }

    /// Stands while certificates have to be made under the root that was put in place: a cut must not leave them out.
    fn reissue_mark(&self) -> PathBuf {
        self.next().join("reissue")
    }

    fn mark_reissue(&self) -> Result<(), Failure> {
        let mark = self.reissue_mark();
        file::write(&mark, "").map_err(|error| Failure::invalid(error.to_string()))
    }

    /// Where it was moved already, a cut came after that.
    fn put_in_place(&self, from: &Path, name: &str, old: &Path) -> Result<(), Failure> {
        let to = self.path().join(name);
        if !from.exists() {
            return Ok(());
        }
        if to.exists() {
            std::fs::rename(&to, old.join(name)).map_err(|error| of_file(&to, &error))?;
        }
        std::fs::rename(from, &to).map_err(|error| of_file(from, &error))
    }

    /// A replacement that was called off after its keys had been put in place: the ones of before count again.
    fn bring_back(&self, held: &OperatorKeys, old: &Path) -> Result<(), Failure> {
        for (name, _) in KEYS {
            let place = self.path().join(name);
            if place.exists() && counts(&place, name, held)? {
                continue;
            }
            let archive = self.path().join("old");
            for entry in entries(&archive)?.iter().rev() {
                let kept = archive.join(entry).join(name);
                if !kept.exists() || !counts(&kept, name, held)? {
                    continue;
                }
                if name == ROOT_FILE {
                    self.mark_reissue()?;
                    self.put_in_place(&kept.with_file_name(ROOT_KEY_FILE), ROOT_KEY_FILE, old)?;
                }
                self.put_in_place(&kept, name, old)?;
                break;
            }
        }
        Ok(())
    }

    /// Issuers and certificates under the root that lies here now: of sites, members and people.
    ///
    /// # Errors
    /// What the authority says.
    pub fn reissue(
        &self,
        members: &[(GenesisSite, MemberId, Vec<IpAddr>)],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let ca = OperatorCa::load(self.path()).map_err(|error| pki(&error))?;
        ca.issuer(&[], now).and_then(|issuer| issuer.save(self.path())).map_err(|e| pki(&e))?;
        for name in entries(&self.path().join("sites"))? {
            let site = name.parse().map_err(|error| of_file(self.path(), &error))?;
            let issuer = ca.issuer(std::slice::from_ref(&site), now);
            issuer.and_then(|issuer| issuer.save(&self.site(&site))).map_err(|e| pki(&e))?;
        }
        for (site, member, ips) in members {
            self.renew_member(site, *member, ips, now)?;
        }
        for name in entries(&self.path().join("users"))? {
            let name: Name = name.parse().map_err(|error| of_file(self.path(), &error))?;
            self.renew_user(&name, now)?;
        }
        let der = ca.root().to_vec();
        self.write_card(|card| {
            card.root = BundleRoot { operator: card.keys.operator.clone(), der };
        })?;
        let mark = self.reissue_mark();
        if mark.exists() {
            std::fs::remove_file(&mark).map_err(|error| of_file(&mark, &error))?;
        }
        Ok(())
    }

    fn write_card(&self, change: impl FnOnce(&mut super::Card)) -> Result<(), Failure> {
        let mut card = self.card()?;
        change(&mut card);
        let text = serde_json::to_string_pretty(&card)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let path = self.path().join(CARD_FILE);
        file::write(&path, &text).map_err(|error| Failure::invalid(error.to_string()))
    }
}

/// Names in a directory, in order; none if it is not there.
fn entries(dir: &Path) -> Result<Vec<String>, Failure> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let listed = std::fs::read_dir(dir).map_err(|error| of_file(dir, &error))?;
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|error| of_file(dir, &error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
