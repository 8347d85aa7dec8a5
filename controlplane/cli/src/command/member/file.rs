//! A change of who takes part, as a file that operators pass on until enough of them have signed it.
//!
//! Must hold: nobody signs what he did not check: the bundle must follow from the one in force by exactly the change that
//! the file tells. Keys never leave the operator's directory; the file holds public ones only.

use super::PrepareArgs;
use crate::app::{App, Session};
use crate::ask;
use crate::failure::{Failure, of_file};
use crate::output::{Column, Shown, column};
use crate::pki::OperatorDir;
use sekisho_evidence::bundle::{BundleError, EndorserBundle, SignedBundle, Succession};
use sekisho_evidence::canonical::decode;
use sekisho_evidence::genesis::{GenesisMember, GenesisSite};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_transport::address::Address;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{MemberId, SiteId};
use sekisho_types::jurisdiction::Area;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Largest file that is read: a bundle of many members has a few KiB.
const FILE_MAX: u64 = 1 << 20;

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// This controller comes.
    Add(GenesisMember),
    /// This one goes.
    Remove(MemberId),
}

impl Change {
    fn step(&self) -> Succession<'_> {
        match self {
            Self::Add(member) => Succession::With(&member.operator, member.member),
            Self::Remove(member) => Succession::Without(*member),
        }
    }
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeFile {
    /// What changes.
    pub(super) change: Change,
    /// The endorser bundle after it, with the signatures so far.
    pub(super) signed: SignedBundle,
}

impl ChangeFile {
    /// Reads one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let length = std::fs::metadata(path).map_err(|error| of_file(path, &error))?.len();
        if length > FILE_MAX {
            return Err(of_file(path, &"too large for a change of members"));
        }
        let bytes = std::fs::read(path).map_err(|error| of_file(path, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| of_file(path, &error))
    }

    fn text(&self) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self);
        text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))
    }

    /// Signs as the operator of a directory, in place of an earlier signature of it.
    fn sign(&mut self, dir: &OperatorDir) -> Result<(), Failure> {
        let signature = dir.sign_bundle(&self.signed.bundle)?;
        self.signed.signatures.retain(|s| s.operator != signature.operator);
        self.signed.signatures.push(signature);
        Ok(())
    }

    /// Whether this may follow `held`, and how many signatures are missing.
    fn missing(&self, held: &EndorserBundle) -> Result<u32, Failure> {
        match held.succeeded_by(&self.signed, self.change.step()) {
            Ok(()) => Ok(0),
            Err(BundleError::Signatures { have, need }) => Ok(need.saturating_sub(have)),
            Err(
                error @ (BundleError::Malformed(_)
                | BundleError::Threshold(_)
                | BundleError::Version { .. }
                | BundleError::WrongCluster
                | BundleError::Unrelated(_)),
            ) => Err(Failure::new(ErrorCode::BundleMismatch, error.to_string()).remedy(
                "prepare the change again: the members changed meanwhile, or it is forged",
            )),
        }
    }
}

#[derive(Debug, Serialize)]
struct ChangeView {
    change: &'static str,
    member: String,
    operator: Option<String>,
    site: Option<String>,
    address: Option<String>,
    bundle_version: u64,
    signed_by: Vec<String>,
    missing: u32,
}

impl ChangeView {
    fn new(file: &ChangeFile, missing: u32) -> Self {
        let (change, member, whole) = match &file.change {
            Change::Add(member) => ("add", member.member, Some(member)),
            Change::Remove(member) => ("remove", *member, None),
        };
        Self {
            change,
            member: member.name(),
            operator: whole.map(|m| m.operator.to_string()),
            site: whole.map(|m| m.site.to_string()),
            address: whole.map(|m| m.address.clone()),
            bundle_version: file.signed.bundle.version,
            signed_by: file.signed.signatures.iter().map(|s| s.operator.to_string()).collect(),
            missing,
        }
    }
}

impl Shown for ChangeView {
    const COLUMNS: &'static [Column] = &[
        column("change", "変更"),
        column("member", "メンバー"),
        column("operator", "事業者"),
        column("site", "拠点"),
        column("address", "アドレス"),
        column("bundle version", "承認者束の版"),
        column("signed by", "署名済み"),
        column("signatures missing", "不足している署名"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            self.change.to_owned(),
            super::short(&self.member).to_owned(),
            or_dash(&self.operator),
            or_dash(&self.site),
            or_dash(&self.address),
            self.bundle_version.to_string(),
            self.signed_by.join(", "),
            self.missing.to_string(),
        ]
    }
}

/// The bundle in force.
async fn held(app: &App<'_>, session: &Session) -> Result<EndorserBundle, Failure> {
    let request = v1::GetEndorserBundleRequest { read: app.read() };
    let answer = ask!(
        session.client,
        member_service_client::MemberServiceClient,
        get_endorser_bundle,
        request
    )?;
    let bad = |why: String| Failure::new(ErrorCode::BundleMismatch, why);
    let bundle: EndorserBundle = decode(&answer.bundle).map_err(|error| bad(error.to_string()))?;
    bundle.check().map_err(|error| bad(error.to_string()))?;
    if bundle.cluster != session.context.cluster {
        return Err(Failure::new(ErrorCode::WrongCluster, "the bundle is of another federation"));
    }
    Ok(bundle)
}

/// A site as the federation knows it.
async fn site(app: &App<'_>, session: &Session, id: &SiteId) -> Result<GenesisSite, Failure> {
    let request = v1::GetSiteRequest { name: id.name(), read: app.read() };
    let found = ask!(session.client, site_service_client::SiteServiceClient, get_site, request)?;
    let unreadable = |field: &str| Failure::invalid(format!("the answer has no usable {field}"));
    Ok(GenesisSite {
        site: id.clone(),
        operator: found.operator.parse().map_err(|_name| unreadable("operator"))?,
        area: Area::resolve(&found.area).map_err(|_area| unreadable("area"))?,
        display_name: found.display_name,
    })
}

/// Makes the change, signed by the operator that asks for it. A new controller's keys are made on the way.
pub(super) async fn prepare(app: &mut App<'_>, args: PrepareArgs) -> Result<(), Failure> {
    if args.file.exists() {
        let path = args.file.display().to_string();
        let exists = Failure::new(ErrorCode::AlreadyExists, path);
        return Err(exists.remedy("choose another file"));
    }
    let dir = OperatorDir::new(&args.operator_dir);
    let session = app.session()?;
    let before = held(app, &session).await?;
    let (change, bundle) = match (args.add, args.remove, args.site, args.address) {
        (Some(member), None, Some(at), Some(address)) => {
            let address: Address =
                address.parse().map_err(|e| Failure::invalid(format!("--address: {e}")))?;
            let site = site(app, &session, &at).await?;
            let endorser = dir.add_member(&site, member, &address, app.now())?;
            let member = GenesisMember {
                member,
                operator: site.operator,
                site: site.site,
                address: address.to_string(),
            };
            (Change::Add(member), before.with(endorser))
        }
        (None, Some(member), _, _) => (Change::Remove(member), before.without(member)),
        _ => return Err(Failure::invalid("either --add with --site and --address, or --remove")),
    };
    let signed = SignedBundle { bundle, signatures: Vec::new() };
    let mut file = ChangeFile { change, signed };
    file.sign(&dir)?;
    let missing = file.missing(&before)?;
    let text = file.text()?;
    let mut out = File::create_new(&args.file).map_err(|error| of_file(&args.file, &error))?;
    out.write_all(text.as_bytes()).map_err(|error| of_file(&args.file, &error))?;
    show(app, &file, missing, &args.file)
}

/// Adds a signature, after checking what is signed against the federation.
pub(super) async fn sign(app: &mut App<'_>, path: &Path, dir: &Path) -> Result<(), Failure> {
    let mut file = ChangeFile::read(path)?;
    let session = app.session()?;
    let before = held(app, &session).await?;
    file.missing(&before)?;
    file.sign(&OperatorDir::new(dir))?;
    let missing = file.missing(&before)?;
    std::fs::write(path, file.text()?).map_err(|error| of_file(path, &error))?;
    show(app, &file, missing, path)
}

fn show(app: &mut App<'_>, file: &ChangeFile, missing: u32, path: &Path) -> Result<(), Failure> {
    app.output.one(&ChangeView::new(file, missing))?;
    let path = path.display();
    let next = if missing > 0 {
        format!("sekisho member sign {path} --operator-dir DIR")
    } else {
        match &file.change {
            Change::Add(_) => format!("sekisho member add {path}"),
            Change::Remove(member) => format!("sekisho member remove {member} {path} --yes"),
        }
    };
    app.output.next(&next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_evidence::bundle::Endorser;
    use sekisho_fsm::testing;
    use sekisho_types::id::PublicKey;

    fn change() -> (EndorserBundle, ChangeFile) {
        let held = testing::genesis().genesis.bundle;
        let member = testing::newcomer(4, "kanto");
        let bundle = held.with(testing::endorser(&member));
        let signed = testing::signed_bundle(bundle, &["kanto"]);
        (held, ChangeFile { change: Change::Add(member), signed })
    }

    #[test]
    fn a_change_round_trips_and_counts_its_signatures() {
        let (held, mut file) = change();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("member-4.json");
        std::fs::write(&path, file.text().unwrap()).unwrap();
        assert_eq!(ChangeFile::read(&path).unwrap(), file);
        assert_eq!(file.missing(&held).unwrap(), 1);
        file.signed = testing::signed_bundle(file.signed.bundle, &["kanto", "hokuto"]);
        assert_eq!(file.missing(&held).unwrap(), 0);
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(ChangeFile::read(&path).unwrap_err().code, ErrorCode::InvalidArgument);
    }

    #[test]
    fn what_tells_another_change_than_it_is_gets_no_signature() {
        let refused = |alter: &dyn Fn(&mut ChangeFile)| {
            let (held, mut file) = change();
            alter(&mut file);
            file.missing(&held).unwrap_err().code
        };
        let stranger = |file: &mut ChangeFile| {
            file.signed.bundle.endorsers[0].public_key = PublicKey([9; 32]);
        };
        assert_eq!(refused(&stranger), ErrorCode::BundleMismatch);
        assert_eq!(refused(&|f| f.signed.bundle.version = 7), ErrorCode::BundleMismatch);
        assert_eq!(refused(&|f| f.change = Change::Remove(MemberId(4))), ErrorCode::BundleMismatch);
        let two = |file: &mut ChangeFile| {
            let member = testing::newcomer(5, "kanto");
            let fifth: Endorser = testing::endorser(&member);
            file.signed.bundle.endorsers.push(fifth);
        };
        assert_eq!(refused(&two), ErrorCode::BundleMismatch);
    }
}
