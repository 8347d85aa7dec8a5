//! What companies do together, as they would: files that are passed on, fingerprints that are compared, the command line of
//! each. And programs that the federation of `sekisho dev` did not start.

use crate::federation::{Answer, Federation};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program beside the federation; ended with the value.
#[derive(Debug)]
pub struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Beside {
    /// Starts a program of the federation's; what it says goes to `logs/NAME.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        federation: &Federation,
        program: &str,
        name: &str,
        args: &[&str],
    ) -> Result<Self> {
        let log = federation.dir().join("logs").join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let child = Command::new(federation.program(program))
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        Ok(Self(child.with_context(|| program.to_owned())?))
    }
}

/// The directory of an operator.
#[must_use]
pub fn office(federation: &Federation, operator: &str) -> PathBuf {
    federation.dir().join("operators").join(operator)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Settings of a further controller, made from those of member 1: another number, operator, site and port, and the trust
/// package that it begins with. Returns the file.
///
/// # Errors
/// A file cannot be read or written, or no controller gives a package.
pub fn controller(
    federation: &Federation,
    (member, operator, site): (u64, &str, &str),
    ports: (u16, u16),
) -> Result<PathBuf> {
    let package = federation.dir().join(format!("package-{member}"));
    federation.run("kanto", &["member", "package", &text(&package)])?.ok()?;
    settings(federation, (member, operator, site), ports, &package)
}

/// As [`controller`], with this package.
///
/// # Errors
/// A file cannot be read or written.
pub fn settings(
    federation: &Federation,
    (member, operator, site): (u64, &str, &str),
    (listen, metrics): (u16, u16),
    package: &Path,
) -> Result<PathBuf> {
    let dir = federation.dir().join("controllers");
    let first = std::fs::read_to_string(dir.join("1/controller.toml"))?;
    let own = dir.join(member.to_string());
    std::fs::create_dir(&own)?;
    let mut settings = vec![format!("package = {:?}", text(package))];
    // Without its landmarks: those have their addresses, and stay where they are.
    let lines = first.lines().take_while(|line| *line != "[[landmark]]");
    for line in lines.filter(|line| !line.is_empty()) {
        settings.push(match line.split_once(" = ").map_or("", |(key, _)| key) {
            "member" => format!("member = {member}"),
            "operator" => format!("operator = {operator:?}"),
            "site" => format!("site = {site:?}"),
            "listen" if settings.iter().any(|line| line == "[metrics]") => {
                format!("listen = \"127.0.0.1:{metrics}\"")
            }
            "listen" => format!("listen = \"127.0.0.1:{listen}\""),
            _ => line
                .replace("/controllers/1/", &format!("/controllers/{member}/"))
                .replace("/members/1", &format!("/members/{member}"))
                .replace("/sites/tokyo-1", &format!("/sites/{site}"))
                .replace("/operators/kanto", &format!("/operators/{operator}")),
        });
    }
    let path = own.join("controller.toml");
    std::fs::write(&path, settings.join("\n"))?;
    Ok(path)
}

/// Writes a change, signed by `by`. Returns the file and its fingerprint.
///
/// # Errors
/// It is refused.
pub fn prepare(
    federation: &Federation,
    by: &str,
    name: &str,
    what: &[&str],
) -> Result<(String, String)> {
    let file = text(&federation.dir().join(name));
    let (noun, rest) = what.split_first().context("member or operator")?;
    let dir = text(&office(federation, by));
    let mut args = vec![*noun, "prepare", &file, "--operator-dir", &dir];
    args.extend(rest);
    let shown = federation.read(by, &args)?;
    let fingerprint = shown.get("fingerprint").and_then(|text| text.as_str());
    let fingerprint = fingerprint.context("no fingerprint")?.to_owned();
    Ok((file, fingerprint))
}

/// Adds an operator's signature.
///
/// # Errors
/// The command line cannot be run.
pub fn sign(federation: &Federation, by: &str, file: &str, fingerprint: &str) -> Result<Answer> {
    let dir = text(&office(federation, by));
    let args = ["operator", "sign", file, "--operator-dir", &dir, "--fingerprint", fingerprint];
    // A company that is not in it yet has no context of its own, and needs none.
    let context = if federation.run(by, &["operator", "list"])?.code == 0 { by } else { "kanto" };
    federation.run(context, &args)
}

/// A change that kanto prepares and naniwa signs.
///
/// # Errors
/// It is refused.
pub fn agree(federation: &Federation, name: &str, what: &[&str]) -> Result<String> {
    let (file, fingerprint) = prepare(federation, "kanto", name, what)?;
    sign(federation, "naniwa", &file, &fingerprint)?.ok()?;
    Ok(file)
}

/// A context for an operator's administrator, made from kanto's.
///
/// # Errors
/// The contexts file is not as `sekisho dev` writes it.
pub fn context(federation: &Federation, operator: &str) -> Result<()> {
    let path = federation.dir().join("contexts.toml");
    let all = std::fs::read_to_string(&path)?;
    let from = all.find("[context.kanto]").context("no context of kanto")?;
    let own = all.get(from..).context("no context of kanto")?;
    let mut headings = own.match_indices("\n[context.").map(|(at, _)| at);
    let others =
        |at: &usize| own.get(*at..).is_some_and(|rest| !rest.starts_with("\n[context.kanto"));
    let end = headings.find(others).unwrap_or(own.len());
    let own = own.get(..end).context("no context of kanto")?;
    let own = own
        .replace("[context.kanto]", &format!("[context.{operator}]"))
        .replace("[context.kanto.", &format!("[context.{operator}."))
        .replace("operator = \"kanto\"\nidentity", &format!("operator = \"{operator}\"\nidentity"))
        .replace("operators/kanto/users", &format!("operators/{operator}/users"));
    let own = own.replace("[[context.kanto.", &format!("[[context.{operator}."));
    ensure!(
        own.contains(&format!("operators/{operator}/users")),
        "not the contexts of `sekisho dev`"
    );
    Ok(std::fs::write(path, format!("{all}\n{own}\n"))?)
}

/// Waits until a program's log says something.
///
/// # Errors
/// It does not, in time.
pub fn says(federation: &Federation, name: &str, what: &str) -> Result<()> {
    let path = federation.dir().join("logs").join(format!("{name}.log"));
    federation.until(&format!("{name} to say `{what}`"), || {
        ensure!(std::fs::read_to_string(&path)?.contains(what), "not yet");
        Ok(())
    })
}
