//! A further controller of an operator that takes part already, and the operator's word on a changed membership.

use super::{CHECKPOINT_FILE, ISSUER_SIGN_FILE, OperatorDir, ips, new_key, pki, private_dir};
use crate::failure::{Failure, of_file};
use sekisho_evidence::bundle::{Endorser, EndorserBundle, OperatorSignature};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::genesis::GenesisSite;
use sekisho_evidence::key::{Purpose, SigningKey};
use sekisho_transport::address::Address;
use sekisho_transport::pki::file::ISSUER_FILE;
use sekisho_transport::pki::{OperatorCa, signing};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;
use sekisho_types::time::Timestamp;

impl OperatorDir {
    /// Keys and certificate of a further controller at a site of this operator. A site without an issuer gets one, for
    /// which the root's key must be at hand. Repeatable: a checkpoint key that is there stays, the certificate is renewed.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for another operator's site; what the issuer says.
    pub fn add_member(
        &self,
        site: &GenesisSite,
        member: MemberId,
        address: &Address,
        now: Timestamp,
    ) -> Result<Endorser, Failure> {
        let operator = self.card()?.keys.operator;
        if site.operator != operator {
            let why = format!("site {} is one of {}, not of {operator}", site.site, site.operator);
            return Err(Failure::invalid(why));
        }
        let at = self.site(&site.site);
        if !at.join(ISSUER_FILE).exists() {
            private_dir(&at)?;
            let ca = OperatorCa::load(self.path()).map_err(|error| pki(&error))?;
            let issuer = ca.issuer(std::slice::from_ref(&site.site), now);
            issuer.and_then(|issuer| issuer.save(&at)).map_err(|error| pki(&error))?;
        }
        let dir = self.member(member);
        private_dir(&dir)?;
        let path = dir.join(CHECKPOINT_FILE);
        let key = if path.exists() {
            signing::read(&path).map_err(|error| of_file(&path, &error))?
        } else {
            new_key(&path)?
        };
        self.renew_member(site, member, &ips(&address.to_string()), now)?;
        Ok(Endorser { operator, member, public_key: key.public() })
    }

    /// Refuses an endorser that is not the member whose checkpoint key lies in this directory.
    ///
    /// # Errors
    /// `BUNDLE_MISMATCH` for another key; `INVALID_ARGUMENT` where there is none.
    pub fn has_member(&self, endorser: &Endorser) -> Result<(), Failure> {
        let path = self.member(endorser.member).join(CHECKPOINT_FILE);
        let own = signing::read(&path).map_err(|error| of_file(&path, &error))?.public();
        if own == endorser.public_key {
            return Ok(());
        }
        let why =
            format!("member {} would have another key than {}", endorser.member, path.display());
        Err(Failure::new(ErrorCode::BundleMismatch, why)
            .remedy("do not sign it: ask who prepared it where that key comes from"))
    }

    /// This operator's agreement to an endorser bundle; by the key that replaces its issuer, too, if the bundle has that.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a key is not readable.
    pub fn sign_bundle(&self, bundle: &EndorserBundle) -> Result<Vec<OperatorSignature>, Failure> {
        let operator = self.card()?.keys.operator;
        let bytes =
            encode(bundle).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let next = self.next().join(ISSUER_SIGN_FILE);
        let mut keys = Vec::new();
        if next.exists() {
            let next = signing::read(&next).map_err(|error| of_file(&next, &error))?;
            let named = bundle.keys(&operator).map(|keys| keys.issuers.current);
            keys.extend((named == Some(next.public())).then_some(next));
        }
        // A company that lost its issuer key signs with the one that replaces it; all others have to agree.
        let lost = !keys.is_empty() && !self.path().join(ISSUER_SIGN_FILE).exists();
        if !lost {
            keys.insert(0, self.issuer_key()?);
        }
        let sign = |key: &SigningKey| OperatorSignature {
            operator: operator.clone(),
            signature: key.sign(Purpose::Bundle, &bytes),
        };
        Ok(keys.iter().map(sign).collect())
    }
}
