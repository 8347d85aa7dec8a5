//! The file is changed whole, and an open key is refused.

use super::*;
use crate::args::Cli;
use crate::dev::test_federation;
use crate::output::Output;
use clap::Parser as _;

/// What a command line prints, and how it ends.
async fn run_line(config: &Path, line: &str) -> Result<String, Failure> {
    let config = config.display().to_string();
    let words = ["sekisho", "--config", &config, "context"].into_iter().chain(line.split(' '));
    let cli = Cli::try_parse_from(words).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut app = App::new(Output::new(&mut out, &mut err), cli.global);
    crate::command::run(&mut app, cli.command).await?;
    drop(app);
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_context_is_added_used_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let made = test_federation(dir.path());
    let config = dir.path().join("elsewhere/contexts.toml");
    let user = made.parent().unwrap().join("operators/kanto/users/admin");
    let genesis = made.with_file_name("genesis.bin");
    let line = format!(
        "add own --genesis {} --operator kanto --identity {d}/identity.pem --identity-key {d}/identity.key --signing-key {d}/sign.key",
        genesis.display(),
        d = user.display(),
    );
    let told = run_line(&config, &line).await.unwrap();
    let before = Contexts::load(&made).unwrap();
    let (own, like) = (&Contexts::load(&config).unwrap().context["own"], &before.context["kanto"]);
    assert!(told.contains(&own.bundle.unwrap().to_string()), "{told}");
    assert_eq!((own.cluster, own.bundle, own.dev), (like.cluster, like.bundle, true));
    assert_eq!(own.endpoints[0].operator.as_str(), "kanto");
    assert_eq!((own.endpoints.len(), own.roots.len()), (3, 3));
    crate::client::Client::open(own, std::time::Duration::from_secs(1)).unwrap();
    let again = run_line(&config, &line).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::AlreadyExists);
    run_line(&config, &line.replace("add own", "add other")).await.unwrap();
    run_line(&config, "use other").await.unwrap();
    assert_eq!(Contexts::load(&config).unwrap().current.as_deref(), Some("other"));
    assert!(run_line(&config, "list").await.unwrap().contains("other"));
    assert_eq!(run_line(&config, "use gone").await.unwrap_err().code, ErrorCode::NotFound);
    run_line(&config, "remove other").await.unwrap();
    let left = Contexts::load(&config).unwrap();
    assert_eq!((left.current, left.context.len()), (None, 1));
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let made = test_federation(dir.path());
    let key = made.parent().unwrap().join("operators/kanto/users/admin/identity.key");
    assert!(run_line(&made, "show kanto").await.unwrap().contains("open keys       -"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let failure = closed(&key).unwrap_err();
    assert!(failure.detail.contains("0644") && failure.remedy.unwrap().starts_with("chmod 600 "));
    assert!(run_line(&made, "show kanto").await.unwrap().contains("mode 0644"));
}
