//! A batch script and a manifest, as specs.

use super::Walk;
use anyhow::{Result, ensure};

pub(super) fn both(walk: &mut Walk) -> Result<()> {
    for (from, file, spec, told) in [
        ("slurm", "train.sbatch", "from-slurm", "--signal"),
        ("kubernetes", "finetune.yaml", "from-kubernetes", "queue-name"),
    ] {
        walk.does("minato", &format!("cat {file}"), "")?;
        let import = format!(
            "sekisho job import {from} --tenant minato --class h100=sim-h100 {file} > {spec}.yaml"
        );
        walk.does("minato", &import, "not carried over")?;
        let printed = walk.types("minato", &format!("cat {spec}.yaml"), 0)?;
        ensure!(printed.contains(told), "{told} is dropped in silence: {printed}");
        walk.plans("minato", &format!("{spec}.yaml"), (0, ""))?;
    }
    Ok(())
}
