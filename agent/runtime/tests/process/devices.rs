//! A device has one holder, and the tracer can tell (P1).

use sekisho_agent_runtime::device::simulated::{
    SimulatedDevices, SimulatedGroup, SimulatedSettings,
};
use sekisho_agent_runtime::device::{DeviceClass, DeviceError, Devices, cuda, tracer};
use sekisho_agent_runtime::directory::{ExitStatus, StartStage};
use sekisho_agent_runtime::placement::{DeviceClaim, PlacementSpec};
use sekisho_agent_runtime::runtime::{Runtime, RuntimeError};

use crate::stage::{Stage, settings, shell, until};

fn simulate(stage: &Stage) -> SimulatedDevices {
    simulate_shared(stage, &[])
}

fn simulate_shared(stage: &Stage, shares: &[(&str, u32)]) -> SimulatedDevices {
    let class = DeviceClass::new("h100-80g").unwrap();
    let group = SimulatedGroup {
        class,
        memory_mib: 81_920,
        islands: 1,
        devices: 2,
        units: 0,
        watts: 0,
        mig: Vec::new(),
    };
    let (dir, groups) = (stage.dir.path().join("gpu"), vec![group]);
    let shares = shares.iter().map(|(uuid, shares)| ((*uuid).to_owned(), *shares)).collect();
    SimulatedDevices::open(&SimulatedSettings { dir, groups, shares }).unwrap()
}

fn on(devices: &SimulatedDevices, name: &str, script: &str, uuids: &[&str]) -> PlacementSpec {
    let claim =
        |uuid: &&str| DeviceClaim { uuid: (*uuid).to_owned(), locks: devices.lock_files(uuid) };
    PlacementSpec { devices: uuids.iter().map(claim).collect(), ..shell(name, script) }
}

#[tokio::test]
async fn holders_one_after_the_other_never_overlap() {
    let Some(mut stage) = Stage::open() else { return };
    let gpus = simulate(&stage);
    let both = ["GPU-sim-0000", "GPU-sim-0001"];
    for round in 0..4 {
        let spec = on(
            &gpus,
            &format!("turn-{round}"),
            "setsid sleep 1000 & echo ready; sleep 1000",
            &both,
        );
        stage.start(spec.clone()).await.unwrap();
        assert!(gpus.is_occupied(both[0]).unwrap());
        let shim = stage.runtime.directory(&spec.key).shim().unwrap().unwrap();
        match round {
            0 => shim.outer.kill().unwrap(),
            1 => shim.init.kill().unwrap(),
            2 => stage.runtime.kill(&spec.key).unwrap(),
            _ => stage.runtime.stop(&spec.key, std::time::Duration::ZERO).unwrap(),
        }
        stage.ended(&spec.key).await;
        assert!(!gpus.is_occupied(both[0]).unwrap(), "held beyond the confirmed end");
    }
    assert_eq!(tracer::check(gpus.dir()).unwrap(), []);
}

#[tokio::test]
async fn a_second_holder_is_refused_and_the_tracer_tells() {
    let Some(mut stage) = Stage::open() else { return };
    let gpus = simulate(&stage);
    let first = on(&gpus, "first", "exec sleep 1000", &["GPU-sim-0000"]);
    stage.start(first.clone()).await.unwrap();
    let second = on(&gpus, "second", "echo ran", &["GPU-sim-0001", "GPU-sim-0000"]);
    let error = stage.start(second.clone()).await.unwrap_err();
    let RuntimeError::StartFailed(failure) = error else { panic!("{error}") };
    assert_eq!(failure.stage, StartStage::Device);
    assert_eq!(stage.ended(&second.key).await, ExitStatus::StartFailed(failure));
    assert_eq!(stage.stdout(&second.key), "");
    assert!(!gpus.is_occupied("GPU-sim-0001").unwrap(), "all or none");
    let overlaps = tracer::check(gpus.dir()).unwrap();
    assert_eq!(overlaps.len(), 1, "{overlaps:?}");
    assert!(overlaps[0].holder.starts_with(first.key.as_str()));
    assert!(overlaps[0].intruder.starts_with(second.key.as_str()));
}

/// The end of one share waits for its own process, and the other goes on.
#[tokio::test]
async fn a_shared_device_runs_as_many_as_it_has_shares() {
    let Some(mut stage) = Stage::open() else { return };
    let uuid = "GPU-sim-0000";
    let gpus = simulate_shared(&stage, &[(uuid, 2)]);
    let print = "echo $CUDA_VISIBLE_DEVICES; exec sleep 1000";
    let (first, second) = (on(&gpus, "first", print, &[uuid]), on(&gpus, "second", print, &[uuid]));
    stage.start(first.clone()).await.unwrap();
    stage.start(second.clone()).await.unwrap();
    until("both see the device", || {
        [&first, &second].iter().all(|spec| stage.stdout(&spec.key).contains(uuid))
    })
    .await;
    stage.runtime.stop(&first.key, std::time::Duration::ZERO).unwrap();
    stage.ended(&first.key).await;
    assert!(gpus.is_occupied(uuid).unwrap(), "the second goes on");
    let third = on(&gpus, "third", print, &[uuid]);
    stage.start(third.clone()).await.unwrap();
    assert_eq!(tracer::check(gpus.dir()).unwrap(), []);
    let fourth = on(&gpus, "fourth", print, &[uuid]);
    stage.start(fourth).await.unwrap_err();
    assert_eq!(tracer::check(gpus.dir()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_lock_lasts_while_any_process_of_the_job_has_it() {
    let Some(stage) = Stage::open() else { return };
    let gpus = simulate(&stage);
    let spec = on(
        &gpus,
        "inherit",
        "setsid sh -c 'ls -l /proc/self/fd; echo ready' & wait",
        &["GPU-sim-0000"],
    );
    stage.start(spec.clone()).await.unwrap();
    until("the grandchild has looked", || stage.stdout(&spec.key).contains("ready")).await;
    assert!(stage.stdout(&spec.key).contains("GPU-sim-0000.lock"), "{}", stage.stdout(&spec.key));
}

#[test]
fn a_cuda_probe_works_or_says_that_there_is_no_driver() {
    let dir = tempfile::tempdir().unwrap();
    let shim = settings(dir.path()).shim;
    match cuda::probe(&shim, "0") {
        Ok(report) => assert!(!report.name.is_empty()),
        Err(DeviceError::DriverAbsent(reason)) => assert!(reason.contains("libcuda"), "{reason}"),
        // A driver library without a device, as in a build container.
        Err(DeviceError::Driver { detail, .. }) => {
            assert!(detail.contains("NO_DEVICE"), "{detail}");
        }
        Err(error) => panic!("{error}"),
    }
}
