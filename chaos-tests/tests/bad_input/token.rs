//! Join tokens that were used, or whose time is over.

use crate::stage::{Stage, run};
use sekisho_chaos::federation::Answer;
use sekisho_evidence::join_token::JoinToken;
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::time::Clock as _;
use std::path::{Path, PathBuf};

const AUTH: i32 = 4;
const USED: &str = "tokyo-1/spare-1";
const EXPIRED: &str = "tokyo-1/spare-2";

/// Files of tokens that are good no more.
pub(crate) struct Tokens {
    used: PathBuf,
    expired: PathBuf,
}

fn create(stage: &Stage, node: &str, lifetime: &str) -> PathBuf {
    let path = stage.folder("tokens").join(node.replace('/', "-"));
    let out = path.to_string_lossy().into_owned();
    let args = ["node", "token", "create", node, "--lifetime", lifetime, "--out", &out];
    stage.federation.run("kanto", &args).unwrap().ok().unwrap();
    path
}

/// A host that joins with a token.
fn join(stage: &Stage, host: &str, node: &str, token: &Path) -> Answer {
    let folder = stage.folder(host);
    let (data, devices) = (folder.join("data"), folder.join("devices"));
    let text = format!(
        "node = \"{node}\"\narea = \"131016\"\ndata_dir = \"{}\"\nlog = \"warn\"\n\n[devices]\n\
         kind = \"simulated\"\ndir = \"{}\"\n\n[[devices.groups]]\nclass = \"sim-h100\"\n\
         memory_mib = 81920\nislands = 1\ndevices = 2\n",
        data.display(),
        devices.display()
    );
    let config = folder.join("agent.toml");
    std::fs::write(&config, text).unwrap();
    let (token, config) = (token.to_string_lossy(), config.to_string_lossy());
    let agent = stage.federation.program("sekisho-agent");
    run(&agent, &["join", "--token-file", &token, "--config", &config])
}

pub(crate) fn prepare(stage: &Stage) -> Tokens {
    let used = create(stage, USED, "1h");
    join(stage, "first", USED, &used).ok().unwrap();
    Tokens { used, expired: create(stage, EXPIRED, "1s") }
}

pub(crate) fn reused_or_expired(stage: &mut Stage, tokens: &Tokens) {
    let answer = join(stage, "second", USED, &tokens.used);
    stage.refused("a used token", &answer, (ErrorCode::TokenUsed, AUTH), &[]);

    let answer = join(stage, "late", EXPIRED, &tokens.expired);
    stage.refused("an expired token", &answer, (ErrorCode::TokenExpired, AUTH), &[]);
    // The host that knows of no end: the federation does.
    let text = std::fs::read_to_string(&tokens.expired).unwrap();
    let mut token = JoinToken::parse(&text).unwrap();
    token.expires = SystemClock.wall().plus_ms(3_600_000);
    let forged = stage.folder("tokens").join("forged");
    std::fs::write(&forged, token.encode().unwrap()).unwrap();
    let answer = join(stage, "later", EXPIRED, &forged);
    stage.refused("a prolonged token", &answer, (ErrorCode::TokenExpired, AUTH), &["expired at"]);
}
