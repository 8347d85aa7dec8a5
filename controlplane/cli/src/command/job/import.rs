//! `sekisho job import`: the job spec that a Slurm batch script or a Kubernetes manifest comes to.
//!
//! Must hold: nothing of the input is dropped in silence: what a spec cannot say stands above it as a comment, with its place, the
//! reason and what to do instead. Nothing is guessed: what cannot be read is refused with line and column. What is printed was read
//! by the spec's own reader before.
//! Does not do: it asks no federation, reads no context, and submits nothing. A script that calls `srun` still calls it.

mod draft;
pub mod given;
mod kubernetes;
mod render;
mod slurm;

use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::spec::{self, Override, SPEC_MAX, read_text};
use draft::{Draft, Part, Why};
use given::{ClassOf, Given, JobOf, LevelOf, class_of, job_of, level_of};
use sekisho_evidence::canonical::encode;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::TenantId;
use sekisho_types::time::{Date, Timestamp};
use std::path::PathBuf;

/// What is imported.
#[derive(Debug, clap::Subcommand)]
pub enum ImportCommand {
    /// Print the spec that the #SBATCH lines of a batch script come to; comments tell what none can say
    Slurm(ImportArgs),
    /// Print the specs that Jobs, Deployments, StatefulSets and Pods come to; comments tell what none can say
    Kubernetes(ImportArgs),
}

/// What is in no such file, and the file.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// File to import; `-` = stdin
    file: PathBuf,
    /// Tenant to write into the spec; without it, `job submit` is told
    #[arg(long)]
    tenant: Option<TenantId>,
    /// In place of the name in the file
    #[arg(long)]
    name: Option<String>,
    /// Device class of a type of GPU in the file, as often as there are types; CLASS alone: of GPUs without one
    #[arg(long, value_name = "TYPE=CLASS", value_parser = class_of)]
    class: Vec<ClassOf>,
    /// Name here of a job that the file calls by its number, as often as there are such
    #[arg(long, value_name = "NUMBER=JOB", value_parser = job_of)]
    job: Vec<JobOf>,
    /// What a label of nodes, or `switch`, is here: rack, site, prefecture or operator
    #[arg(long, value_name = "LABEL=LEVEL", value_parser = level_of)]
    level: Vec<LevelOf>,
    /// Time limit where the file has none
    #[arg(long, value_name = "TIME", value_parser = crate::duration::seconds)]
    time_limit: Option<u64>,
    /// Exit 1 if anything was not carried over; the spec is printed all the same
    #[arg(long)]
    strict: bool,
}

/// Form of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Slurm,
    Kubernetes,
}

pub(super) fn run(app: &mut App<'_>, command: ImportCommand) -> Result<Exit, Failure> {
    let (form, args) = match command {
        ImportCommand::Slurm(args) => (Form::Slurm, args),
        ImportCommand::Kubernetes(args) => (Form::Kubernetes, args),
    };
    let text = read_text(&args.file)?;
    let ImportArgs { tenant, name, class, job, level, time_limit, strict, .. } = args;
    let given =
        Given { tenant, name, classes: class, jobs: job, levels: level, time_limit_s: time_limit };
    let parts = import(form, &text, &given, app.today())?;
    if app.output.format.is_for_people() {
        let text = render::text(&parts, app.output.language);
        app.output.bytes(text.as_bytes())?;
    } else {
        app.output.data(&render::data(&parts))?;
    }
    let told: usize = parts.iter().map(|part| part.told.len()).sum();
    if told == 0 {
        return Ok(Exit::Ok);
    }
    let note = app.output.pick(
        format!("{told} parts of the input were not carried over as they stand; the comments tell which, and why"),
        format!("入力のうち {told} か所はそのまま移せませんでした。コメントに箇所と理由があります"),
    );
    app.output.note(&note)?;
    Ok(if strict { Exit::Error } else { Exit::Ok })
}

/// The specs, each with what it does not say.
fn import(form: Form, text: &str, given: &Given, today: Date) -> Result<Vec<Part>, Failure> {
    if text.len() > SPEC_MAX {
        let why = format!("what is imported has at most {SPEC_MAX} bytes");
        return Err(Failure::new(ErrorCode::TooLarge, why));
    }
    let mut parts = match form {
        Form::Slurm => slurm::read(text, given)?,
        Form::Kubernetes => kubernetes::read(text, given)?,
    };
    let drafts: Vec<&Draft> = parts.iter().filter_map(|part| part.draft.as_ref()).collect();
    if given.name.is_some() && drafts.len() > 1 {
        let why = format!("--name gives one name, and there are {} jobs", drafts.len());
        return Err(Failure::invalid(why).remedy("leave --name out, or import them one by one"));
    }
    drafts.iter().try_for_each(|draft| prove(draft, today))?;
    if let Some(tenant) = &given.tenant {
        parts.iter_mut().for_each(|part| answer(part, tenant));
    }
    Ok(parts)
}

/// Says of what asks for a tenant which one was given.
fn answer(part: &mut Part, tenant: &TenantId) {
    let asks = [Why::from(kubernetes::TENANT), Why::from(slurm::TENANT)];
    for told in part.told.iter_mut().filter(|told| asks.contains(&told.why)) {
        told.why = Why::new(
            format!("who pays and whose quota counts is the tenant, here {tenant} by --tenant"),
            format!("費用と割当枠はテナントで決まります。--tenant により {tenant} です"),
        );
    }
}

/// What is printed is a spec, and says what it was made of: its own reader is asked.
fn prove(draft: &Draft, today: Date) -> Result<(), Failure> {
    // Any tenant will do where the spec leaves it to `job submit`.
    let tenant = if draft.tenant.is_some() { None } else { "any".parse().ok() };
    let over = Override { tenant, name: None };
    let read = spec::parse(&render::spec(draft), &over, today).map_err(|failure| {
        let detail = format!("{}: the spec made of it: {}", draft.name, failure.detail);
        Failure { detail, ..failure }
    })?;
    let internal = |why: String| Failure::new(ErrorCode::Internal, why);
    let payload = encode(&draft.run).map_err(|error| internal(error.to_string()))?;
    let facts = &read.facts;
    let is_same = facts.id.name.as_str() == draft.name
        && (facts.kind, facts.group) == (draft.kind, draft.group)
        && facts.resources.gpus == draft.gpus
        && (&*facts.topology, &facts.reservation) == (&draft.topology, &draft.reservation)
        && *facts.after == draft.after
        && facts.resources.class == draft.class
        && facts.time_limit_s == draft.time_limit_s
        && facts.not_before == draft.not_before.as_ref().map(|written| written.at)
        && facts.start_by == draft.end_by.as_ref().map(|end| before(end.at, draft.time_limit_s))
        && read.payload == payload;
    if is_same {
        return Ok(());
    }
    Err(internal(format!("{}: the spec made of it says something else", draft.name)))
}

/// The latest start of a job that has to be over at `end`.
fn before(Timestamp(end): Timestamp, limit_s: u64) -> Timestamp {
    Timestamp(end.saturating_sub(limit_s.saturating_mul(1000)))
}

#[cfg(test)]
mod tests;
