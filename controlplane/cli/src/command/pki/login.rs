//! `sekisho pki registrar` and `sekisho pki sign-request`: how an operator's people come in without a visit.

use crate::app::App;
use crate::command::login::request::SigningRequest;
use crate::failure::Failure;
use crate::pki::OperatorDir;
use crate::pki::login::{Grant, REGISTRAR_LIFETIME_MAX};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::name::Name;
use sekisho_types::principal::Role;
use std::path::PathBuf;
use std::time::Duration;

/// A registrar for the operator's controllers.
#[derive(Debug, clap::Args)]
pub struct RegistrarArgs {
    /// The operator's directory, with root.key at hand
    dir: PathBuf,
    /// A role that it may give; repeatable: operator-admin, tenant-admin:T, tenant-user:T, auditor, monitor, archivist:SITE
    #[arg(long, required = true, value_parser = super::super::key::role)]
    role: Vec<Role>,
    /// Its name among the operator's people
    #[arg(long, default_value = "registrar")]
    name: Name,
    /// How long it is good, at most 92d
    #[arg(long, value_name = "TIME", default_value = "31d", value_parser = crate::duration::seconds)]
    lifetime: u64,
}

/// Somebody's request.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The operator's directory
    dir: PathBuf,
    /// The request: `sekisho login --csr-out FILE`
    request: PathBuf,
    /// Who asks; the request does not say
    #[arg(long)]
    name: Name,
    /// operator-admin, tenant-admin:T, tenant-user:T, auditor, monitor or archivist:SITE
    #[arg(long, value_parser = super::super::key::role)]
    role: Role,
    /// How long it is good
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=12))]
    hours: u64,
    /// File to write, for whoever asked
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn registrar(app: &mut App<'_>, args: RegistrarArgs) -> Result<(), Failure> {
    let RegistrarArgs { dir, role: roles, name, lifetime } = args;
    let lifetime = Duration::from_secs(lifetime);
    if lifetime.is_zero() || lifetime > REGISTRAR_LIFETIME_MAX {
        let days = REGISTRAR_LIFETIME_MAX.as_secs() / 86_400;
        return Err(Failure::invalid(format!("--lifetime: at most {days}d")));
    }
    let own = OperatorDir::new(&dir);
    let (folder, issued) = own.registrar(name, &roles, lifetime, app.now())?;
    let record = issued.record;
    let line = app.output.pick(
        format!(
            "{}: {} until {}; copy it to the operator's controllers",
            folder.display(),
            record.role,
            record.expires
        ),
        format!(
            "{}: {}、期限 {}。事業者のコントローラーにコピーしてください",
            folder.display(),
            record.role,
            record.expires
        ),
    );
    app.output.line(&line)?;
    let (role, key) = (&record.role, record.public_key);
    let issuer = dir.join(crate::pki::ISSUER_SIGN_FILE);
    app.output.next(&format!(
        "sekisho key register {} --role {role} --public-key {key} --issuer-key {} --lifetime {}s",
        record.principal,
        issuer.display(),
        lifetime.as_secs(),
    ))
}

pub(super) fn sign_request(app: &mut App<'_>, args: SignArgs) -> Result<(), Failure> {
    let request = SigningRequest::read(&args.request)?;
    if args.out.exists() {
        let path = args.out.display().to_string();
        return Err(Failure::new(ErrorCode::AlreadyExists, path).remedy("choose another file"));
    }
    let grant = Grant { name: args.name, role: args.role, hours: args.hours };
    let signed = OperatorDir::new(&args.dir).sign_request(&request, grant, app.now())?;
    let written = signed.write(&args.out)?;
    let next = format!("sekisho login --accept {}", args.out.display());
    app.output.written(&args.out, written, &next)
}
