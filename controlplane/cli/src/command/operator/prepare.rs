//! Preparing a change of companies or keys, and putting new keys in their place.

use super::PrepareArgs;
use crate::app::App;
use crate::command::agreement::{held, not_there, propose};
use crate::command::member::file::site;
use crate::failure::{Failure, of_file};
use crate::pki::{Card, OperatorDir, ips};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::operator::OperatorKeys;
use sekisho_evidence::package::Trust;
use sekisho_evidence::terms::{Newcomer, Rotation, Terms};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, OperatorId};
use std::path::Path;

/// Largest card that is read: sixteen sites and administrators, a root.
const CARD_MAX: u64 = 256 * 1024;

fn card(path: &Path, compared: Option<&Digest>) -> Result<Card, Failure> {
    let length = std::fs::metadata(path).map_err(|error| of_file(path, &error))?.len();
    if length > CARD_MAX {
        return Err(of_file(path, &"too large for a card"));
    }
    let bytes = std::fs::read(path).map_err(|error| of_file(path, &error))?;
    let card: Card = serde_json::from_slice(&bytes).map_err(|error| of_file(path, &error))?;
    let found = card.fingerprint();
    if compared == Some(&found) {
        return Ok(card);
    }
    let why = format!("the card has fingerprint {found}");
    Err(Failure::new(ErrorCode::BundleMismatch, why)
        .remedy("compare it with the company's own: `sekisho pki show DIR`"))
}

fn keys<'t>(trust: &'t Trust, operator: &OperatorId) -> Result<&'t OperatorKeys, Failure> {
    let unknown = || Failure::new(ErrorCode::OperatorUnknown, operator.to_string());
    trust.bundle.keys(operator).ok_or_else(unknown)
}

fn replacing(
    bundle: &EndorserBundle,
    keys: OperatorKeys,
    rotation: Rotation,
) -> (Terms, EndorserBundle) {
    let terms = Terms::RotateOperator { operator: keys.operator.clone(), rotation };
    let next = bundle.replacing(keys, terms.digest());
    (terms, next)
}

pub(super) async fn prepare(app: &mut App<'_>, args: PrepareArgs) -> Result<(), Failure> {
    not_there(&args.file)?;
    let dir = OperatorDir::new(&args.operator_dir);
    let session = app.session()?;
    let trust = held(app, &session, &dir).await?;
    let before = &trust.bundle;
    let whose = match &args.of {
        Some(operator) => operator.clone(),
        None => dir.card()?.keys.operator,
    };
    let change = if let Some(path) = &args.add {
        let card = card(path, args.fingerprint.as_ref())?;
        let terms = Terms::AddOperator(Box::new(Newcomer {
            operator: card.keys.operator.clone(),
            sites: card.sites,
            admins: card.admins,
            root: card.root.der,
        }));
        let next = before.joined_by(card.keys, terms.digest());
        (terms, next)
    } else if let Some(operator) = &args.remove {
        let left = before.endorsers.iter().find(|endorser| endorser.operator == *operator);
        if let Some(left) = left {
            let why = format!("{operator} has a controller: member {}", left.member);
            return Err(Failure::new(ErrorCode::OperatorInUse, why)
                .remedy("remove its controllers and revoke its sites first"));
        }
        let terms = Terms::RemoveOperator(operator.clone());
        let next = before.left_by(operator, terms.digest());
        (terms, next)
    } else if let Some(parts) = &args.rotate {
        let own = keys(&trust, &whose)?;
        if own.rotating() {
            let why = format!("{whose} is replacing keys already");
            return Err(
                Failure::new(ErrorCode::WrongPhase, why).remedy("finish or abort that first")
            );
        }
        let (renewed, root) = dir.renew_keys(own, parts, app.now())?;
        replacing(before, renewed, Rotation::Begin { root: root.map(|root| root.der) })
    } else {
        let own = keys(&trust, &whose)?;
        let accept_stranded = args.accept_stranded;
        let rotation =
            if args.abort { Rotation::Abort } else { Rotation::Finish { accept_stranded } };
        replacing(before, own.settled(args.finish), rotation)
    };
    propose(app, &args.file, before, &dir, change)
}

/// Puts the new keys in their place, and renews what stands on a new root.
pub(super) async fn install(app: &mut App<'_>, path: &Path, discard: bool) -> Result<(), Failure> {
    let dir = OperatorDir::new(path);
    let session = app.session()?;
    let trust = held(app, &session, &dir).await?;
    let operator = dir.card()?.keys.operator;
    let own = keys(&trust, &operator)?;
    if discard {
        dir.discard(own, app.now())?;
        let line = app
            .output
            .pick("keys that do not count were put to `old`", "使われない鍵を `old` に移しました");
        return app.output.line(line);
    }
    let mut members = Vec::new();
    for member in trust.members.iter().filter(|m| m.operator == operator) {
        let site = site(app, &session, &member.site).await?;
        members.push((site, member.member, ips(&member.address)));
    }
    let rooted = dir.install(own, app.now())?;
    if rooted {
        dir.reissue(&members, app.now())?;
    }
    let done = app.output.pick("the new keys lie in their place", "新しい鍵を配置しました");
    app.output.line(done)?;
    let note = app.output.pick(
        "restart this operator's controllers one by one; hosts renew by themselves",
        "この事業者のコントローラーを 1 台ずつ再起動してください。ホストは自動的に更新されます",
    );
    app.output.note(note)
}
