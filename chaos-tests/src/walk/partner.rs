//! What a company gives, and whom it does not take: its own word alone.

use super::{Walk, item, number, text};
use anyhow::{Result, ensure};

const OFFER: &str = "sites/sakai-1/offers/all";

pub(super) fn lowered(walk: &mut Walk) -> Result<()> {
    walk.does("minato", "sekisho job submit osaka.yaml --wait running", "running")?;
    let lower = "sekisho offer lower sakai-1 all --gpus 2";
    walk.refused("kanto", lower, (4, "PERMISSION_DENIED"))?;
    walk.does("naniwa", lower, "lowered")?;
    walk.job("minato/osaka", "queued")?;
    walk.does("naniwa", "sekisho offer list --site sakai-1", "sim-h100")?;
    let offer = item(&walk.read("naniwa", "offer list --site sakai-1")?, OFFER)?;
    let counts = (number(&offer, "gpus"), number(&offer, "used"));
    ensure!(counts == (Some(2), Some(0)), "{offer}");
    walk.does("minato", "sekisho job status minato/osaka", "queued")?;
    walk.explains("minato/osaka", "OFFER_FULL")?;
    walk.does("naniwa", "sekisho offer update sakai-1 all --gpus 8", "updated")?;
    walk.job("minato/osaka", "running")?;
    walk.does("minato", "sekisho job status minato/osaka", "sakai-1/n-01")
}

pub(super) fn veto(walk: &mut Walk) -> Result<()> {
    let reason = "contract ended on 30 November";
    let add = format!("sekisho veto add naniwa --tenant minato --reason '{reason}'");
    walk.refused("kanto", &add, (4, "PERMISSION_DENIED"))?;
    walk.does("naniwa", &add, "vetoes/minato")?;
    let moved = walk.job("minato/osaka", "queued")?;
    ensure!(text(&moved, "message").contains(reason), "the reason is not told: {moved}");
    walk.does("minato", "sekisho job status minato/osaka", reason)?;
    walk.explains("minato/osaka", "OFFER_VETOED")?;
    walk.plans("minato", "osaka.yaml --name again", (11, "OFFER_VETOED"))?;
    walk.does("naniwa", "sekisho veto list", reason)?;
    walk.does("naniwa", "sekisho veto lift naniwa --tenant minato", "lifted")?;
    walk.job("minato/osaka", "running")?;
    walk.cancels(&["minato/osaka"])
}
