//! Tries a CUDA device: whether work runs on it, which NVML cannot tell.
//!
//! Always in a child process. A broken driver panics, hangs or ends the process in its own code, and the agent must
//! outlive that; and a context in the agent would hold memory on every GPU.

use std::io::{self, Read, Write};
use std::process::{Child, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cudarc::driver::{CudaContext, DriverError};
use tokio::time::Instant;

use crate::device::DeviceError;
use crate::limit;
use crate::shim::{MODE_CUDA, ShimCommand};

const ABSENT: u8 = 3;
const FAILED: u8 = 4;
/// Numbers copied there and back: more than a page, little enough for a device that is nearly full.
const NUMBERS: u32 = 64 * 1024;
/// How often the child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a working device says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// Name by the CUDA driver.
    pub name: String,
}

/// Runs a memory test on the device with `uuid`, in a child, within [`limit::PROBE_WITHIN`]. Blocks.
///
/// # Errors
/// [`DeviceError::DriverAbsent`] without a CUDA driver, [`DeviceError::Driver`] when the device does not work.
pub fn probe(shim: &ShimCommand, uuid: &str) -> Result<ProbeReport, DeviceError> {
    let io = |source| DeviceError::Io { what: "the probe's process".to_owned(), source };
    let mut command = shim.command(MODE_CUDA);
    command.arg("0").env("CUDA_VISIBLE_DEVICES", uuid);
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", path); // where some distributions tell the loader about the driver
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(io)?;
    let Some(status) = wait_within(&mut child, limit::PROBE_WITHIN).map_err(io)? else {
        return Err(DeviceError::Driver { what: "probe", detail: "no answer in time".to_owned() });
    };
    let said = text(child.stdout.take()).map_err(io)?;
    if status.success() {
        return Ok(ProbeReport { name: said.trim().to_owned() });
    }
    let complaint = text(child.stderr.take()).map_err(io)?.trim().to_owned();
    if status.code() == Some(i32::from(ABSENT)) {
        Err(DeviceError::DriverAbsent(complaint))
    } else {
        Err(DeviceError::Driver { what: "probe", detail: format!("{status}: {complaint}") })
    }
}

fn text(pipe: Option<impl Read>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit::PROBE_BYTES_MAX).read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `None`, and the child killed, when it takes longer than `within`.
fn wait_within(
    child: &mut Child,
    within: Duration,
) -> io::Result<Option<std::process::ExitStatus>> {
    let begun = Instant::now();
    // waits: for the probe's child; the standard library has no wait with a deadline.
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > within {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The child's side.
pub(crate) fn child_main(ordinal: &str) -> ExitCode {
    let Ok(ordinal) = ordinal.parse::<usize>() else { return ExitCode::from(FAILED) };
    #[expect(unsafe_code, reason = "cudarc marks the look for the library as unsafe")]
    // SAFETY: it only loads the driver's library, whose initializers are meant to be run so, in a process made for it.
    let present = unsafe { cudarc::driver::sys::is_culib_present() };
    if !present {
        drop(writeln!(io::stderr(), "libcuda is not installed"));
        return ExitCode::from(ABSENT);
    }
    match try_device(ordinal) {
        Ok(Some(name)) if writeln!(io::stdout(), "{name}").is_ok() => ExitCode::SUCCESS,
        Ok(Some(_)) => ExitCode::from(FAILED),
        Ok(None) => {
            drop(writeln!(io::stderr(), "memory came back changed"));
            ExitCode::from(FAILED)
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Copies numbers to the device, from there to another place on it that was zeroed, and back. `None` when they
/// come back changed.
fn try_device(ordinal: usize) -> Result<Option<String>, DriverError> {
    let context: Arc<CudaContext> = CudaContext::new(ordinal)?;
    let stream = context.default_stream();
    let numbers: Vec<u32> = (0..NUMBERS).map(|n| n.wrapping_mul(2_654_435_761)).collect();
    let there = stream.clone_htod(&numbers)?;
    let mut copy = stream.alloc_zeros::<u32>(numbers.len())?;
    let zeros = stream.clone_dtoh(&copy)?;
    stream.memcpy_dtod(&there, &mut copy)?;
    let back = stream.clone_dtoh(&copy)?;
    stream.synchronize()?;
    let sound = back == numbers && zeros.iter().all(|n| *n == 0);
    Ok(if sound { Some(context.name()?) } else { None })
}
