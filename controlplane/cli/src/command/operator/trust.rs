//! Whom the federation trusts, walked from the genesis or as a controller says it.

use super::{TrustArgs, view};
use crate::app::App;
use crate::command::agreement::{fingerprint, open, package};
use crate::command::list::ListArgs;
use crate::context::{Context, endpoints_of, roots_of};
use crate::failure::{Failure, of_file};
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::operator::{Keys, OperatorKeys};
use sekisho_evidence::package::Trust;
use sekisho_transport::pki::backup::recipient;
use sekisho_types::error_code::{ErrorCode, Language};
use serde::Serialize;
use std::fmt::Display;

#[derive(Debug, Serialize)]
struct OperatorView {
    operator: String,
    trust_domain: String,
    rotating: bool,
    root_sha256: Vec<String>,
    issuer_key: Vec<String>,
    site_tag_key: Vec<String>,
    backup_key: Vec<String>,
}

fn all<T: Display>(keys: &Keys<T>) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

impl From<&OperatorKeys> for OperatorView {
    fn from(keys: &OperatorKeys) -> Self {
        Self {
            operator: keys.operator.to_string(),
            trust_domain: keys.trust_domain.to_string(),
            rotating: keys.rotating(),
            root_sha256: all(&keys.roots),
            issuer_key: all(&keys.issuers),
            site_tag_key: all(&keys.site_tags),
            backup_key: keys.backups.iter().map(recipient).collect(),
        }
    }
}

impl Shown for OperatorView {
    const COLUMNS: &'static [Column] = &[
        column("operator", "事業者"),
        column("trust domain", "信頼ドメイン"),
        column("replaces keys", "鍵の交換中"),
        wide("root sha-256", "ルート指紋"),
        wide("issuer key", "発行者の鍵"),
        wide("site-tag key", "拠点タグの鍵"),
        wide("backup key", "バックアップの鍵"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            self.operator.clone(),
            self.trust_domain.clone(),
            crate::command::yes_no(language, self.rotating),
            self.root_sha256.join(" <- "),
            self.issuer_key.join(" <- "),
            self.site_tag_key.join(" <- "),
            self.backup_key.join(" <- "),
        ]
    }
}

fn show(
    app: &mut App<'_>,
    trust: &Trust,
    (items, beside): (&[OperatorView], &Listed),
) -> Result<(), Failure> {
    let bundle = &trust.bundle;
    app.output.list(items, beside)?;
    let (version, hash, k) = (bundle.version, fingerprint(bundle)?, bundle.k);
    let line = app.output.pick(
        format!("endorser bundle version {version}, fingerprint {hash}, {k} operator(s) sign"),
        format!("承認者束 第 {version} 版、指紋 {hash}、必要な署名 {k} 社"),
    );
    app.output.note(&line)
}

fn views(trust: &Trust) -> Vec<OperatorView> {
    trust.bundle.operators.iter().map(OperatorView::from).collect()
}

/// As a controller says it; which of them, and in which order, is the controller's to say too.
pub(super) async fn list(app: &mut App<'_>, args: &ListArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let package = package(app, &session).await?;
    let walked = package.walk(&package.genesis.genesis.bundle);
    let trust = walked.map_err(|e| Failure::new(ErrorCode::BundleMismatch, e.to_string()))?;
    let mut items = views(&trust);
    if !args.is_given() {
        return show(app, &trust, (&items, &Listed::default()));
    }
    let (names, beside) = view::names(app, &session, args).await?;
    let place = |item: &OperatorView| names.iter().position(|name| *name == item.operator);
    items.retain(|item| place(item).is_some());
    items.sort_by_key(place);
    show(app, &trust, (&items, &beside))
}

/// Walked from a genesis that is known.
pub(super) async fn walk(app: &mut App<'_>, args: TrustArgs) -> Result<(), Failure> {
    let bytes = std::fs::read(&args.genesis).map_err(|error| of_file(&args.genesis, &error))?;
    let genesis = SignedGenesis::open(&bytes).map_err(|error| of_file(&args.genesis, &error))?;
    let package = match &args.package {
        Some(path) => open(&std::fs::read(path).map_err(|error| of_file(path, &error))?)?,
        None => {
            let session = app.session()?;
            package(app, &session).await?
        }
    };
    let walked = package.walk(&genesis.genesis.bundle);
    let trust = walked.map_err(|e| Failure::new(ErrorCode::BundleMismatch, e.to_string()))?;
    show(app, &trust, (&views(&trust), &Listed::default()))?;
    if args.write { write(app, &trust) } else { Ok(()) }
}

/// Refuses what is of another federation, or of before what the context knows: a package is no secret, and an older one has
/// roots that were given up since, perhaps because they were stolen.
fn forward(context: &Context, bundle: &EndorserBundle) -> Result<(), Failure> {
    if bundle.cluster != context.cluster {
        return Err(Failure::new(ErrorCode::WrongCluster, "the genesis is of another federation"));
    }
    let (held, told) = (context.bundle_version, bundle.version);
    if told < held || bundle.incarnation < context.incarnation {
        let why = format!("endorser bundle version {told}, the context has version {held}");
        return Err(Failure::new(ErrorCode::BundleMismatch, why)
            .remedy("get the package of today: leave --package out, or ask a controller"));
    }
    Ok(())
}

/// Roots and members into the context in use. Its own files are written; those of operators' directories are not touched.
fn write(app: &mut App<'_>, trust: &Trust) -> Result<(), Failure> {
    let (file, name, mut contexts) = app.contexts_to_change()?;
    let context = contexts.context.get(&name);
    let context = context.ok_or_else(|| Failure::new(ErrorCode::NotFound, name.clone()))?;
    forward(context, &trust.bundle)?;
    let folder = file.with_file_name("roots").join(&name);
    let roots = roots_of(&folder, &trust.bundle.operators, &trust.roots)?;
    let context = contexts.context.get_mut(&name);
    let context = context.ok_or_else(|| Failure::new(ErrorCode::NotFound, name.clone()))?;
    context.roots = roots;
    context.incarnation = trust.bundle.incarnation;
    context.bundle_version = trust.bundle.version;
    context.bundle = Some(fingerprint(&trust.bundle)?);
    context.endpoints = endpoints_of(&trust.members, &context.operator);
    contexts.save(&file)?;
    let line = app.output.pick(
        format!("context `{name}` uses these roots and members now"),
        format!("コンテキスト `{name}` を更新しました"),
    );
    app.output.line(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_types::id::ClusterId;
    use sekisho_types::revision::Incarnation;

    #[test]
    fn a_context_goes_forward_and_stays_in_its_federation() {
        let bundle = sekisho_fsm::testing::genesis().genesis.bundle;
        let context = Context {
            cluster: bundle.cluster,
            incarnation: Incarnation(1),
            bundle_version: bundle.version,
            bundle: None,
            operator: "kanto".parse().unwrap(),
            identity: "identity.pem".into(),
            identity_key: "identity.key".into(),
            signing_key: None,
            dev: false,
            resolvers: Vec::new(),
            login: None,
            endpoints: Vec::new(),
            roots: Vec::new(),
        };
        forward(&context, &bundle).unwrap();
        let refused = |context: &Context| forward(context, &bundle).unwrap_err().code;
        let later = Context { bundle_version: bundle.version + 1, ..context.clone() };
        assert_eq!(refused(&later), ErrorCode::BundleMismatch);
        let anew = Context { incarnation: Incarnation(2), ..context.clone() };
        assert_eq!(refused(&anew), ErrorCode::BundleMismatch);
        let other = Context { cluster: ClusterId([9; 16]), ..context };
        assert_eq!(refused(&other), ErrorCode::WrongCluster);
    }
}
