//! Keys and certificates of one operator, in one directory that no other operator ever sees.
//!
//! ```text
//! OP/card.json                                   public: what partners need to write the genesis
//! OP/root.pem root.key                           root; the key belongs offline
//! OP/issuer.pem issuer.key                       issuer for people
//! OP/issuer-ed25519.key                          signs key records and the genesis
//! OP/site-tag.key                                signs site tags
//! OP/backup.key                                  opens backups that were encrypted to this operator
//! OP/genesis.bin                                 the federation's signed genesis: where trust begins
//! OP/next/ OP/old/TIME/                          keys that will be, and keys that were
//! OP/sites/SITE/issuer.pem issuer.key            issuer for members and agents of that site only
//! OP/members/N/identity.pem identity.key checkpoint.key
//! OP/login/issuer.pem issuer.key registrar.key registrar.json  for its controllers, which take logins
//! OP/landmarks/L/identity.pem identity.key landmark.key  one that runs apart from a controller
//! OP/users/NAME/identity.pem identity.key sign.key
//! ```
//!
//! Must hold: every key has mode 0600 and every directory 0700; nothing is overwritten except certificates that are
//! renewed; the genesis is signed by each operator from its own directory.

use crate::app::random;
use crate::failure::{Failure, of_file};
use sekisho_evidence::bundle::{Endorser, OperatorSignature};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::genesis::{Genesis, GenesisMember, GenesisSite, SignedGenesis};
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_evidence::operator::{BundleRoot, Keys, OperatorKeys};
use sekisho_evidence::terms::IssuedKey;
use sekisho_transport::limit::{LEAF_LIFETIME_MAX, USER_LIFETIME_MAX};
use sekisho_transport::pki::file::{self, CHAIN_FILE, KEY_FILE};
use sekisho_transport::pki::signing;
use sekisho_transport::pki::{
    Issued, Issuer, OperatorCa, PkiError, SecretPem, Validity, root_hash,
};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId, OperatorId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::principal::{KeyRecord, Principal, Role, TrustDomain, Workload};
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::DirBuilder;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub mod genesis;
pub mod login;
mod member;
pub mod rotate;

/// Name of the public card.
pub const CARD_FILE: &str = "card.json";
/// Key that signs key records and the genesis.
pub const ISSUER_SIGN_FILE: &str = "issuer-ed25519.key";
/// Key that signs site tags.
pub const SITE_TAG_FILE: &str = "site-tag.key";
/// What a landmark apart from a controller signs with.
const LANDMARK_KEY_FILE: &str = "landmark.key";
/// A member's checkpoint key.
pub const CHECKPOINT_FILE: &str = "checkpoint.key";
/// The federation's signed genesis.
pub const GENESIS_FILE: &str = "genesis.bin";
/// A person's command-signing key.
pub const SIGN_FILE: &str = "sign.key";

/// Life of an administrator's registered key: a working year.
const ADMIN_KEY_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// What an operator brings into a federation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The operator.
    pub operator: OperatorId,
    /// Its SPIFFE trust domain, a DNS name.
    pub trust_domain: TrustDomain,
    /// Its first site.
    pub site: GenesisSite,
    /// Its controllers at that site.
    pub members: Vec<(MemberId, String)>,
    /// Its administrator.
    pub admin: Name,
}

/// The public part: partners put the cards together to the genesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Trust domain and keys.
    pub keys: OperatorKeys,
    /// Its root certificate.
    pub root: BundleRoot,
    /// First sites.
    pub sites: Vec<GenesisSite>,
    /// First members.
    pub members: Vec<GenesisMember>,
    /// Their checkpoint keys.
    pub endorsers: Vec<Endorser>,
    /// Administrators, each with the issuer's word.
    pub admins: Vec<IssuedKey>,
}

impl Card {
    /// What partners compare by voice before they take the company in.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let what = (&self.keys, &self.root, &self.sites, &self.admins);
        // Our own types always encode.
        Digest::of(&encode(&what).unwrap_or_default())
    }
}

/// An operator's directory.
#[derive(Debug, Clone)]
pub struct OperatorDir(PathBuf);

fn pki(error: &PkiError) -> Failure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    Failure::new(ErrorCode::Internal, format!("{error}{}", cause.unwrap_or_default()))
        .remedy("check the directory and what is in it")
}

/// Makes a directory that only its owner may enter, with its parents.
pub(crate) fn private_dir(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| of_file(path, &error))
}

/// What a certificate names of an address HOST:PORT: the host, only where that is a number.
pub(crate) fn ips(address: &str) -> Vec<IpAddr> {
    address.parse().map(|at: SocketAddr| at.ip()).into_iter().collect()
}

fn new_key(path: &Path) -> Result<SigningKey, Failure> {
    let key = SigningKey::from_seed(&random()?);
    signing::write(path, &key).map_err(|error| of_file(path, &error))?;
    Ok(key)
}

fn save_identity(dir: &Path, issued: &Issued, key: &SecretPem) -> Result<(), Failure> {
    private_dir(dir)?;
    // The chain last: whoever finds a chain finds its key.
    let write = |name: &str, text: &str| {
        file::write(&dir.join(name), text).map_err(|error| Failure::invalid(error.to_string()))
    };
    write(KEY_FILE, key.expose())?;
    write(CHAIN_FILE, &issued.chain_pem)
}

impl OperatorDir {
    /// The directory at `path`, existing or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A member's directory.
    #[must_use]
    pub fn member(&self, member: MemberId) -> PathBuf {
        self.0.join("members").join(member.to_string())
    }

    /// A person's directory.
    #[must_use]
    pub fn user(&self, name: &Name) -> PathBuf {
        self.0.join("users").join(name.as_str())
    }

    /// The directory of a site's issuer.
    #[must_use]
    pub fn site(&self, site: &SiteId) -> PathBuf {
        self.0.join("sites").join(site.as_str())
    }

    /// Makes everything that a new operator needs.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` if there is a card; `INVALID_ARGUMENT` for a place that cannot be written.
    pub fn init(&self, plan: &Plan, ips: &[IpAddr], now: Timestamp) -> Result<Card, Failure> {
        if self.0.join(CARD_FILE).exists() {
            let path = self.0.display().to_string();
            return Err(
                Failure::new(ErrorCode::AlreadyExists, path).remedy("choose another directory")
            );
        }
        private_dir(&self.0)?;
        let ca = OperatorCa::create(plan.operator.clone(), plan.trust_domain.clone(), now)
            .map_err(|error| pki(&error))?;
        ca.save(&self.0).map_err(|error| pki(&error))?;
        ca.issuer(&[], now).and_then(|issuer| issuer.save(&self.0)).map_err(|error| pki(&error))?;
        let site = self.site(&plan.site.site);
        private_dir(&site)?;
        let issuer = ca.issuer(std::slice::from_ref(&plan.site.site), now);
        issuer.and_then(|issuer| issuer.save(&site)).map_err(|error| pki(&error))?;
        let keys = OperatorKeys {
            operator: plan.operator.clone(),
            trust_domain: plan.trust_domain.clone(),
            issuers: Keys::one(new_key(&self.0.join(ISSUER_SIGN_FILE))?.public()),
            site_tags: Keys::one(new_key(&self.0.join(SITE_TAG_FILE))?.public()),
            roots: Keys::one(root_hash(ca.root())),
            backups: Keys::one(rotate::backup_key(&self.0.join(rotate::BACKUP_FILE))?),
        };
        let mut endorsers = Vec::new();
        for (member, _) in &plan.members {
            let dir = self.member(*member);
            private_dir(&dir)?;
            let public_key = new_key(&dir.join(CHECKPOINT_FILE))?.public();
            endorsers.push(Endorser {
                operator: plan.operator.clone(),
                member: *member,
                public_key,
            });
            self.renew_member(&plan.site, *member, ips, now)?;
        }
        let record = self.add_user(&plan.operator, &plan.admin, Role::FederationAdmin, now)?;
        let bytes = encode(&record)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let issuer = self.issuer_key()?.sign(Purpose::KeyRecord, &bytes);
        let member = |(member, address): &(MemberId, String)| GenesisMember {
            member: *member,
            operator: plan.operator.clone(),
            site: plan.site.site.clone(),
            address: address.clone(),
        };
        let card = Card {
            root: BundleRoot { operator: plan.operator.clone(), der: ca.root().to_vec() },
            keys,
            sites: vec![plan.site.clone()],
            members: plan.members.iter().map(member).collect(),
            endorsers,
            admins: vec![IssuedKey { record, issuer }],
        };
        // Last: a directory with a card is complete.
        let text = serde_json::to_string_pretty(&card)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        file::write(&self.0.join(CARD_FILE), &text)
            .map_err(|error| Failure::invalid(error.to_string()))?;
        Ok(card)
    }

    /// The card.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn card(&self) -> Result<Card, Failure> {
        let path = self.0.join(CARD_FILE);
        let text = file::read(&path).map_err(|error| Failure::invalid(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| of_file(&path, &error))
    }

    /// A fresh certificate and key for a member, from the issuer of its site.
    ///
    /// # Errors
    /// What the issuer says.
    pub fn renew_member(
        &self,
        site: &GenesisSite,
        member: MemberId,
        ips: &[IpAddr],
        now: Timestamp,
    ) -> Result<(), Failure> {
        let issuer = Issuer::load(&self.site(&site.site)).map_err(|error| pki(&error))?;
        let validity = Validity { now, lifetime: LEAF_LIFETIME_MAX };
        let area: Option<Area> = Some(site.area);
        let (issued, key) = issuer
            .issue_member(&site.site, member.0, ips, area, validity)
            .map_err(|error| pki(&error))?;
        save_identity(&self.member(member), &issued, &key)
    }

    /// A fresh certificate and key for a person.
    ///
    /// # Errors
    /// What the issuer says.
    pub fn renew_user(&self, name: &Name, now: Timestamp) -> Result<(), Failure> {
        let issuer = Issuer::load(&self.0).map_err(|error| pki(&error))?;
        let validity = Validity { now, lifetime: USER_LIFETIME_MAX };
        let (issued, key) = issuer.issue_user(name, validity).map_err(|error| pki(&error))?;
        save_identity(&self.user(name), &issued, &key)
    }

    /// A fresh certificate and key for a landmark that runs apart from a controller, and the key that it signs with if it
    /// has none.
    ///
    /// # Errors
    /// What the issuer says.
    pub fn renew_landmark(&self, name: &Name, now: Timestamp) -> Result<PathBuf, Failure> {
        let dir = self.0.join("landmarks").join(name.as_str());
        private_dir(&dir)?;
        let issuer = Issuer::load(&self.0).map_err(|error| pki(&error))?;
        let validity = Validity { now, lifetime: LEAF_LIFETIME_MAX };
        let (issued, key) =
            issuer.issue_landmark(name, &[], validity).map_err(|error| pki(&error))?;
        save_identity(&dir, &issued, &key)?;
        if !dir.join(LANDMARK_KEY_FILE).exists() {
            new_key(&dir.join(LANDMARK_KEY_FILE))?;
        }
        Ok(dir)
    }

    /// A person with certificate and signing key; the record still has to be registered, or stand in the genesis.
    ///
    /// # Errors
    /// What the issuer says.
    pub fn add_user(
        &self,
        operator: &OperatorId,
        name: &Name,
        role: Role,
        now: Timestamp,
    ) -> Result<KeyRecord, Failure> {
        self.renew_user(name, now)?;
        let public_key = new_key(&self.user(name).join(SIGN_FILE))?.public();
        let lifetime = u64::try_from(ADMIN_KEY_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        Ok(KeyRecord {
            principal: Principal {
                operator: operator.clone(),
                workload: Workload::User { name: name.clone() },
            },
            role,
            public_key,
            expires: now.plus_ms(lifetime),
        })
    }

    /// The federation's genesis, from this directory.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it is not there or does not stand.
    pub fn genesis(&self) -> Result<SignedGenesis, Failure> {
        let path = self.0.join(GENESIS_FILE);
        let bytes = std::fs::read(&path).map_err(|error| {
            of_file(&path, &error).remedy(
                "put the federation's signed genesis there: what is signed is walked from it",
            )
        })?;
        SignedGenesis::open(&bytes).map_err(|error| of_file(&path, &error))
    }

    /// The key that vouches for key records.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn issuer_key(&self) -> Result<SigningKey, Failure> {
        let path = self.0.join(ISSUER_SIGN_FILE);
        signing::read(&path).map_err(|error| of_file(&path, &error))
    }

    /// This operator's agreement to a genesis.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the key is not readable.
    pub fn sign(
        &self,
        operator: &OperatorId,
        genesis: &Genesis,
    ) -> Result<OperatorSignature, Failure> {
        let bytes = genesis.bytes().map_err(|error| Failure::invalid(error.to_string()))?;
        let signature = self.issuer_key()?.sign(Purpose::Genesis, &bytes);
        Ok(OperatorSignature { operator: operator.clone(), signature })
    }
}

#[cfg(test)]
mod tests;
