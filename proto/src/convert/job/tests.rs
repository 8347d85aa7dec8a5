//! What is read is what was written, and every bad field is named.

use super::*;
use sekisho_types::job::Resources;
use sekisho_types::rare::Rare;

fn job() -> NewJob {
    let payload = Bytes::from_static(b"payload");
    let facts = JobFacts {
        id: "acme/train".parse().unwrap(),
        kind: Kind::Array { tasks: 9, at_most: 3 },
        group: 2,
        resources: Resources {
            memory_mib: 40_960,
            units: 2,
            ..Resources::of("h100-80g".parse().unwrap(), 8)
        },
        topology: topology::tests::topology().into(),
        priority: 50,
        policy: Some("gov".parse().unwrap()),
        reservation: Some("night".parse().unwrap()),
        residency: crate::convert::rules::tests::rules().into(),
        on_disconnect: OnDisconnect::RunToCompletion,
        over_limit: OverLimit::Reject,
        time_limit_s: 3600,
        after: Rare::default(),
        not_before: None,
        start_by: None,
        payload: Digest::of(&payload),
        payload_len: 7,
        sealed_to: [("tokyo-1", 1), ("ishikari-1", 3)]
            .map(|(site, epoch)| (site.parse().unwrap(), KeyEpoch(epoch)))
            .into_iter()
            .collect(),
        area_only: false,
    };
    NewJob { facts, payload }
}

fn refused(change: impl Fn(&mut v1::CreateJobRequest, &mut v1::JobSpec)) -> (String, ErrorCode) {
    let mut message = job().request(v1::Intent::default());
    let mut spec = message.spec.take().unwrap();
    change(&mut message, &mut spec);
    message.spec = Some(spec);
    let error = NewJob::try_from(message).unwrap_err();
    (error.field, error.code)
}

#[test]
fn jobs_round_trip() {
    let plain = {
        let mut job = job();
        job.facts.policy = None;
        job.facts.residency = Rare::default();
        job.facts.on_disconnect = OnDisconnect::Stop;
        job.facts.over_limit = OverLimit::Queue;
        job.facts.sealed_to.clear();
        job.facts.topology = Rare::default();
        job
    };
    for job in [job(), plain] {
        let anew = job.reseal_request(v1::Intent::default());
        assert_eq!(NewJob::try_from(anew), Ok(job.clone()));
        assert_eq!(NewJob::try_from(job.request(v1::Intent::default())), Ok(job));
    }
}

#[test]
fn what_stays_in_an_area_is_uploaded_and_not_submitted() {
    let mut job = job();
    job.facts.area_only = true;
    let submitted = job.request(v1::Intent::default());
    assert!(submitted.payload.is_empty());
    let without = NewJob { payload: Bytes::new(), ..job.clone() };
    assert_eq!(NewJob::try_from(submitted.clone()), Ok(without.clone()));
    assert_eq!(NewJob::try_from(job.reseal_request(v1::Intent::default())), Ok(without));
    let with = v1::CreateJobRequest { payload: job.payload.clone(), ..submitted };
    assert_eq!(NewJob::try_from(with).unwrap_err().field, "payload");
    let upload = job.upload_request();
    assert_eq!(Upload::try_from(upload.clone()), Ok(Upload(job.clone())));
    let other = v1::UploadPayloadRequest { payload: b"paylord"[..].into(), ..upload.clone() };
    assert_eq!(Upload::try_from(other).unwrap_err().field, "payload");
    job.facts.area_only = false;
    let plain = v1::UploadPayloadRequest { spec: Some((&job.facts).into()), ..upload };
    assert_eq!(Upload::try_from(plain).unwrap_err().field, "spec.area_only");
}

#[test]
fn a_batch_is_of_one_tenant_and_names_the_bad_one() {
    let tenant: TenantId = "acme".parse().unwrap();
    let jobs = vec![job(), job()];
    let good = batch_request(&tenant, &jobs, v1::Intent::default());
    assert_eq!(batch(good.clone()), Ok((tenant, jobs)));
    let mut named = good.clone();
    named.requests[1].parent.clone_from(&good.parent);
    batch(named).unwrap();
    let refused = |change: fn(&mut v1::BatchCreateJobsRequest)| {
        let mut message = good.clone();
        change(&mut message);
        batch(message).unwrap_err().field
    };
    assert_eq!(refused(|m| m.parent = "tenants/-".into()), "parent");
    assert_eq!(refused(|m| m.requests.clear()), "requests");
    assert_eq!(refused(|m| m.requests = vec![m.requests[0].clone(); 129]), "requests");
    assert_eq!(refused(|m| m.requests[1].parent = "tenants/b".into()), "requests[1].parent");
    assert_eq!(refused(|m| m.requests[0].job_id = "Ä".into()), "requests[0].job_id");
    let intent = |m: &mut v1::BatchCreateJobsRequest| {
        m.requests[1].intent = Some(v1::Intent::default());
    };
    assert_eq!(refused(intent), "requests[1].intent");
}

#[test]
fn what_is_left_out_has_one_meaning() {
    let given = v1::JobSpec::from(&job().facts);
    let spec = v1::JobSpec {
        device_class: given.device_class,
        gpus: 1,
        time_limit_s: 60,
        payload_sha256: given.payload_sha256,
        ..v1::JobSpec::default()
    };
    let facts = facts(job().facts.id, &spec).unwrap();
    assert_eq!((facts.group, facts.priority, facts.policy), (1, 0, None));
    assert_eq!((facts.residency, facts.topology), (Rare::default(), Rare::default()));
    assert_eq!((facts.on_disconnect, facts.over_limit), (OnDisconnect::Stop, OverLimit::Queue));
}

#[test]
fn every_bad_field_is_named() {
    let invalid = |field: &str| (field.to_owned(), ErrorCode::InvalidArgument);
    assert_eq!(refused(|m, _| m.parent = "acme".into()), invalid("parent"));
    assert_eq!(refused(|m, _| m.job_id = "Train".into()), invalid("job_id"));
    assert_eq!(refused(|_, s| s.group = 1025), invalid("spec.group"));
    assert_eq!(refused(|_, s| s.device_class.clear()), invalid("spec.device_class"));
    for gpus in [0, 17] {
        assert_eq!(refused(|_, s| s.gpus = gpus), invalid("spec.gpus"));
    }
    for priority in [101, 256] {
        assert_eq!(refused(|_, s| s.priority = priority), invalid("spec.priority"));
    }
    assert_eq!(refused(|_, s| s.policy = "gov".into()), invalid("spec.policy"));
    assert_eq!(refused(|_, s| s.reservation = "A".into()), invalid("spec.reservation"));
    let foreign = v1::Rules { areas: vec!["KR".into()], ..v1::Rules::default() };
    assert_eq!(
        refused(|_, s| s.residency = Some(foreign.clone())),
        ("spec.residency.areas".into(), ErrorCode::ResidencyOutsideJp)
    );
    assert_eq!(refused(|_, s| s.on_disconnect = 9), invalid("spec.on_disconnect"));
    assert_eq!(refused(|_, s| s.over_limit = 9), invalid("spec.over_limit"));
    for limit in [0, 31 * 86_400] {
        assert_eq!(refused(|_, s| s.time_limit_s = limit), invalid("spec.time_limit_s"));
    }
    assert_eq!(refused(|_, s| s.payload_sha256.clear()), invalid("spec.payload_sha256"));
    assert_eq!(refused(|_, s| s.payload_len = 65_537), invalid("spec.payload_len"));
    let twice = v1::SealedTo { site: "sites/tokyo-1".into(), epoch: 2 };
    assert_eq!(refused(|_, s| s.sealed_to.push(twice.clone())), invalid("spec.sealed_to[2].site"));
    let nameless = v1::SealedTo { site: "tokyo-1".into(), epoch: 2 };
    assert_eq!(
        refused(|_, s| s.sealed_to = vec![nameless.clone()]),
        invalid("spec.sealed_to[0].site")
    );
    assert_eq!(
        refused(|_, s| s.sealed_to = vec![nameless.clone(); RECIPIENTS_MAX + 1]),
        invalid("spec.sealed_to")
    );
    assert_eq!(refused(|_, s| s.payload_len = 6), invalid("payload"));
    assert_eq!(refused(|m, _| m.payload = Bytes::from_static(b"paylord")), invalid("payload"));
    let large = (String::from("payload"), ErrorCode::TooLarge);
    assert_eq!(refused(|m, _| m.payload = vec![0; PAYLOAD_MAX + 1].into()), large);
}
