//! What a partner's own tooling meets: the example client in Python, and operations and watches as scripts read them.

use crate::federation::{Answer, Federation, rows};
use crate::work::not_run;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const CLIENT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/python/sekisho_client.py");

/// The Python that `bootstrap.sh test` fitted out.
fn python() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let own = std::env::var_os("SEKISHO_CACHE").map(PathBuf::from);
    let folder = own.or_else(|| Some(cache?.join("sekisho")))?;
    Some(folder.join("tools/python/bin/python")).filter(|path| path.exists())
}

fn client(federation: &Federation, python: &Path, context: &str, args: &[&str]) -> Result<Answer> {
    let mut command = Command::new(python);
    command.arg(CLIENT).arg("--contexts").arg(federation.dir().join("contexts.toml"));
    let output = command.args(["--context", context]).args(args).output().context("python")?;
    Ok(Answer::of(&output))
}

fn lines(answer: &Answer) -> Result<Vec<Value>> {
    answer.stdout.lines().map(|line| serde_json::from_str(line).context("a line of JSON")).collect()
}

/// The example client lists, plans, watches, and tells a refusal by its code.
///
/// # Errors
/// What did not come out right.
pub fn python_client(federation: &Federation) -> Result<()> {
    let Some(python) = python() else {
        return not_run("no Python with grpcio; deploy/scripts/bootstrap.sh test installs it");
    };
    let told = client(federation, &python, "kanto", &["nodes"])?.ok()?;
    let known = rows(&federation.read("kanto", &["node", "list"])?, "items");
    let told = lines(&told)?;
    ensure!(told.len() == known.len(), "{told:?}, and there are {}", known.len());
    let plan = ["plan", "sapporo", "from-python", "sim-h100", "1"];
    let planned = lines(&client(federation, &python, "sapporo", &plan)?.ok()?)?;
    ensure!(planned.iter().any(|line| line["verdict"] == "PLACED_NOW"), "{planned:?}");
    let watch = ["watch", "nodes", "sites", "--bookmarks", "1"];
    let watched = lines(&client(federation, &python, "kanto", &watch)?.ok()?)?;
    ensure!(watched.last().is_some_and(|last| last["kind"] == "bookmark"), "{watched:?}");
    ensure!(watched.iter().any(|line| line["name"] == "sites/tokyo-1"), "{watched:?}");
    let refused =
        client(federation, &python, "sapporo", &["plan", "nobody", "x", "sim-h100", "1"])?;
    ensure!(refused.code == 1 && refused.stderr.starts_with("NOT_FOUND"), "{}", refused.stderr);
    Ok(())
}

/// A drain as an operation: named by the list, waited for, called off.
///
/// # Errors
/// What did not come out right.
pub fn operation(federation: &Federation) -> Result<()> {
    let node = "tokyo-1/n-01";
    federation.run("kanto", &["node", "drain", node, "--detach"])?.ok()?;
    let listed = federation.read("kanto", &["operation", "list", "--all"])?;
    let listed = rows(&listed, "items");
    let drain = listed.iter().find(|row| row["kind"] == "drain").context("no drain is listed")?;
    let name = drain["name"].as_str().context("a name")?;
    ensure!(drain["target"] == "sites/tokyo-1/nodes/n-01", "{drain}");
    // Nothing runs there: it is done.
    let done = &federation.read("kanto", &["operation", "wait", name, "--for", "10s"])?;
    ensure!(done["done"] == true, "{done}");
    let over = federation.run("kanto", &["operation", "cancel", name])?;
    ensure!(over.code == 6 && over.stderr.contains("WRONG_PHASE"), "{}", over.stderr);
    federation.run("kanto", &["node", "undrain", node])?.ok()?;
    let gone = federation.run("kanto", &["operation", "get", name])?;
    ensure!(gone.code == 3, "{} {}", gone.code, gone.stderr);
    Ok(())
}
