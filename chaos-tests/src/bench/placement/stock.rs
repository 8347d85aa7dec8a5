//! Jobs by the laws that nobody has submitted yet, the connections over which they are submitted, and what of them was
//! acknowledged.
//!
//! Must hold: each job is submitted once, signed by its tenant's person; one that was not acknowledged is in no count.

use crate::bench::cluster::{BATCH, Op, Session};
use crate::bench::sekisho::Caller;
use crate::fleet::Job;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use sekisho_evidence::canonical::encode;
use sekisho_fsm::command::{Command, Item};
use sekisho_proto::convert::job::{NewJob, batch_request};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::job_service_client::JobServiceClient;
use sekisho_types::id::{Digest, JobId, TenantId};
use sekisho_types::job::Kind;
use sekisho_types::payload::JobPayload;
use std::path::Path;
use std::sync::Arc;
use tonic::transport::Channel;

/// Who submits, for whom: one of the persons that `sekisho dev` makes.
pub(super) const TENANT: &str = "minato";
const USER: &str = "kanto/user/minato";
const USER_DIR: &str = "operators/kanto/users/minato";

/// What was acknowledged.
#[derive(Debug, Clone, Default)]
pub(super) struct Acknowledged {
    /// Names of the jobs: `tenants/TENANT/jobs/JOB`.
    pub(super) jobs: Vec<String>,
    /// Members of their groups.
    pub(super) members: u64,
    /// What they ask for together.
    pub(super) gpus: u64,
}

/// Jobs, and who submits them.
#[derive(Debug)]
pub(super) struct Stock {
    user: Caller,
    tenant: TenantId,
    /// Of each job.
    tasks: u32,
    jobs: Mutex<std::vec::IntoIter<NewJob>>,
    acknowledged: Mutex<Acknowledged>,
}

impl Stock {
    /// These jobs, for the tenant that there is in the federation in `dir`.
    pub(super) fn new(dir: &Path, jobs: impl Iterator<Item = Job>) -> Result<Arc<Self>> {
        Self::of(dir, jobs, None)
    }

    /// The same as arrays of so many tasks, which may all run at once.
    pub(super) fn arrays(
        dir: &Path,
        jobs: impl Iterator<Item = Job>,
        tasks: u32,
    ) -> Result<Arc<Self>> {
        Self::of(dir, jobs, Some(tasks))
    }

    fn of(dir: &Path, jobs: impl Iterator<Item = Job>, tasks: Option<u32>) -> Result<Arc<Self>> {
        let tenant: TenantId = TENANT.parse()?;
        let payload = JobPayload { command: vec!["true".into()], ..JobPayload::default() };
        let payload: Bytes = encode(&payload)?.into();
        let new = |job: Job| {
            let mut facts = job.facts();
            facts.id.tenant = tenant.clone();
            if let Some(tasks) = tasks {
                facts.kind = Kind::Array { tasks, at_most: tasks };
            }
            (facts.payload, facts.payload_len) =
                (Digest::of(&payload), u32::try_from(payload.len())?);
            Ok(NewJob { facts, payload: payload.clone() })
        };
        let jobs = jobs.map(new).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            user: Caller::open(dir, USER, USER_DIR)?,
            tenant,
            tasks: tasks.unwrap_or(1),
            jobs: Mutex::new(jobs.into_iter()),
            acknowledged: Mutex::default(),
        }))
    }

    /// A new connection to the member that listens there.
    pub(super) fn channel(&self, port: u16) -> Result<Channel> {
        self.user.channel(port)
    }

    fn take(&self, count: u64) -> Result<Vec<NewJob>> {
        let taken: Vec<NewJob> = self.jobs.lock().by_ref().take(usize::try_from(count)?).collect();
        if taken.is_empty() {
            bail!("every job is submitted");
        }
        Ok(taken)
    }

    fn acknowledge(&self, jobs: &[NewJob]) {
        let mut told = self.acknowledged.lock();
        for NewJob { facts, .. } in jobs {
            told.jobs.push(facts.id.name());
            let tasks = u64::from(self.tasks);
            let (members, gpus) = (u64::from(facts.group), facts.gpus());
            told.members = told.members.saturating_add(members.saturating_mul(tasks));
            told.gpus = told.gpus.saturating_add(gpus.saturating_mul(tasks));
        }
    }

    /// All that was acknowledged so far.
    pub(super) fn acknowledged(&self) -> Acknowledged {
        self.acknowledged.lock().clone()
    }

    /// What that asks for.
    pub(super) fn gpus(&self) -> u64 {
        self.acknowledged.lock().gpus
    }
}

/// A connection over which jobs are submitted.
#[derive(Debug)]
pub(super) struct Submitter {
    pub(super) channel: Channel,
    pub(super) stock: Arc<Stock>,
}

impl Submitter {
    /// Submits the next job, and gives its id.
    pub(super) async fn one(&self) -> Result<JobId> {
        let jobs = self.stock.take(1)?;
        let id = jobs.first().context("a job was taken")?.facts.id.clone();
        self.submit(jobs).await?;
        Ok(id)
    }

    async fn submit(&self, jobs: Vec<NewJob>) -> Result<u64> {
        let (mut client, user) = (JobServiceClient::new(self.channel.clone()), &self.stock.user);
        let written = if let [job] = jobs.as_slice() {
            let facts = Box::new(job.facts.clone());
            let intent = user.intent(&Command::SubmitJob { facts })?;
            client.create_job(job.request(intent)).await?
        } else {
            let item = |job: &NewJob| Item::SubmitJob { facts: Box::new(job.facts.clone()) };
            let intent = user.intent(&Command::Batch(jobs.iter().map(item).collect()))?;
            client.batch_create_jobs(batch_request(&self.stock.tenant, &jobs, intent)).await?
        };
        self.stock.acknowledge(&jobs);
        Ok(written.into_inner().revision)
    }
}

impl Session for Submitter {
    fn perform(&self, op: Op, _sequence: u64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            match op {
                Op::Write => self.submit(self.stock.take(1)?).await,
                Op::Batch => self.submit(self.stock.take(BATCH)?).await,
                Op::Read => bail!("jobs are submitted and not read"),
            }
        })
    }
}
