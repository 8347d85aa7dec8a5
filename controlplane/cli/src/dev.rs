//! `sekisho dev`: a federation of three operators on one machine, made of the shipped programs.
//!
//! Must hold: three operators have three directories and never share a key; everything is registered through the
//! API by signed requests, as its users would; all addresses are loopback; a directory that this program did not
//! make is never emptied.

mod config;
mod distance;
mod found;
mod layout;
mod plan;
mod process;
mod relay;
mod seed;

use crate::app::App;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use layout::Layout;
use plan::Plan;
use process::Children;
use sekisho_types::error_code::ErrorCode;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// First port; controllers listen on this and the two after it.
const PORT_BASE: u16 = 17_440;

/// Run a federation of three operators on this machine.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = false)]
pub struct DevCommand {
    /// Directory of keys, state and logs
    #[arg(long, global = true, value_name = "DIR", default_value = "sekisho-dev")]
    dir: PathBuf,
    /// First of three ports on 127.0.0.1; 17440, or those of the earlier run. Metrics are seven further
    #[arg(long, value_name = "PORT")]
    port_base: Option<u16>,
    /// First of three ports on which the controllers listen, where something forwards the others to them: drills
    /// stand between with it. Without it they listen where they are found
    #[arg(long, value_name = "PORT")]
    listen_base: Option<u16>,
    /// Delete what an earlier run left and begin anew
    #[arg(long)]
    fresh: bool,
    /// One host more: it has a certificate and a tag of Tokyo, and stands in Seoul
    #[arg(long)]
    abroad: bool,
    /// Return once it is up; end it with `sekisho dev stop`
    #[arg(long)]
    detach: bool,
    /// Without it: start
    #[command(subcommand)]
    verb: Option<DevVerb>,
}

/// Verbs of the development federation.
#[derive(Debug, clap::Subcommand)]
pub enum DevVerb {
    /// End a federation that was started with --detach
    Stop,
    /// Imitate the ways between sites and landmarks; started by `sekisho dev`
    #[command(hide = true)]
    Relay,
}

/// Runs it.
///
/// # Errors
/// Why it did not start, with the last words of the program that failed.
pub async fn run(app: &mut App<'_>, command: DevCommand) -> Result<Exit, Failure> {
    match command.verb {
        Some(DevVerb::Stop) => return stop(app, &Layout::existing(&command.dir)?).await,
        Some(DevVerb::Relay) => return forward(&Layout::existing(&command.dir)?).await,
        None => {}
    }
    // Before anything is made: without the programs there is nothing to make it for.
    process::installed()?;
    let layout = Layout::new(&command.dir)?;
    let running = process::running(&layout)?;
    if !running.is_empty() && !command.fresh {
        let why = format!("{} runs already", layout.dir().display());
        let fix = format!("sekisho dev stop --dir {}", layout.dir().display());
        return Err(Failure::new(ErrorCode::AlreadyExists, why).remedy(fix));
    }
    if command.fresh {
        process::stop(&running).await;
        layout.clear()?;
    }
    let port_base = match command.port_base {
        Some(port) => port,
        None => found::port_base(&layout)?.unwrap_or(PORT_BASE),
    };
    let mut plan = match command.listen_base {
        Some(listen_base) => Plan::behind(port_base, listen_base)?,
        None => Plan::new(port_base)?,
    };
    if command.abroad {
        plan.add_abroad()?;
    }
    let is_new = !layout.genesis().exists();
    app.output
        .note(app.output.pick("making keys and certificates", "鍵と証明書を作成しています"))?;
    let contexts = found::prepare(&layout, &plan, app.now())?;
    let mut children = Children::default();
    match Box::pin(start(app, &layout, &plan, contexts, &mut children)).await {
        Ok(()) => {}
        Err(failure) => {
            children.stop().await;
            return Err(failure);
        }
    }
    summary(app, &layout, is_new)?;
    if command.detach {
        return Ok(Exit::Ok);
    }
    let ended = children.watch(&layout).await;
    if let Some(name) = &ended {
        let log = layout.log(name);
        app.output.note(&format!("{name} ended; its last words are in {}", log.display()))?;
    }
    app.output.note(app.output.pick("stopping", "停止しています"))?;
    children.stop().await;
    let removed = std::fs::remove_file(layout.pids());
    removed.map_err(|error| of_file(&layout.pids(), &error))?;
    Ok(if ended.is_some() { Exit::Error } else { Exit::Ok })
}

async fn start(
    app: &mut App<'_>,
    layout: &Layout,
    plan: &Plan,
    contexts: crate::context::Contexts,
    children: &mut Children,
) -> Result<(), Failure> {
    app.output
        .note(app.output.pick("starting three controllers", "コントローラーを3台起動しています"))?;
    for operator in &plan.operators {
        children.start(layout, process::controller(layout, operator)?)?;
    }
    layout.save_pids(&children.pids())?;
    let seeder = seed::Seeder::new(app, layout, plan, contexts);
    seeder.controllers_ready(children).await?;
    seeder.register().await?;
    Box::pin(seeder.register_landmarks()).await?;
    Box::pin(seeder.register_offers()).await?;
    children.start(layout, process::relay(layout)?)?;
    let tokens = seeder.tokens().await?;
    let hosts = plan.nodes.len();
    let (en, ja) =
        (format!("starting {hosts} agents"), format!("エージェントを{hosts}台起動しています"));
    app.output.note(&app.output.pick(en, ja))?;
    for node in &plan.nodes {
        config::write_agent(layout, plan, node, tokens.contains(&node.id))?;
        children.start(layout, process::watchdog(layout, node)?)?;
        children.start(layout, process::agent(layout, node)?)?;
    }
    layout.save_pids(&children.pids())?;
    seed::Seeder::again(app, layout, plan)?.nodes_ready(children).await
}

/// Imitates ways until it is told to end.
async fn forward(layout: &Layout) -> Result<Exit, Failure> {
    let path = layout.ways();
    let relay = relay::Relay::bind(config::read_ways(layout)?);
    let relay = relay.map_err(|error| of_file(&path, &error))?;
    let over = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&over);
    let mut forwarding = tokio::task::spawn_blocking(move || relay.run(&heard));
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::from)?;
    let ended = tokio::select! {
        ended = &mut forwarding => ended,
        _ = tokio::signal::ctrl_c() => { over.store(true, Ordering::Release); forwarding.await }
        _ = terminated.recv() => { over.store(true, Ordering::Release); forwarding.await }
    };
    let ended = ended.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
    ended.map_err(|error| of_file(&path, &error))?;
    Ok(Exit::Ok)
}

async fn stop(app: &mut App<'_>, layout: &Layout) -> Result<Exit, Failure> {
    let running = process::running(layout)?;
    process::stop(&running).await;
    let gone = std::fs::remove_file(layout.pids());
    // No file means that nothing was started: as good as stopped.
    drop(gone);
    let count = running.len();
    app.output
        .line(&app.output.pick(format!("{count} stopped"), format!("{count} 件を停止しました")))?;
    Ok(Exit::Ok)
}

fn summary(app: &mut App<'_>, layout: &Layout, is_new: bool) -> Result<(), Failure> {
    let contexts = layout.contexts();
    let dir = layout.dir().display();
    let made = if is_new {
        app.output.pick("a new federation is up", "新しい連合が稼働しました")
    } else {
        app.output.pick("the federation is up again", "連合が再開しました")
    };
    let text = app.output.pick(
        format!(
            "{made}: operators kanto, naniwa, hokuto; four nodes with simulated GPUs

  export SEKISHO_CONFIG={}

  sekisho status                                   as kanto's administrator
  sekisho node list
  sekisho job submit {dir}/job.yaml --context sapporo
  sekisho job explain sapporo/hello --context sapporo
  sekisho policy list --context naniwa
  sekisho audit export audit.bin && sekisho audit verify audit.bin --genesis {dir}/genesis.bin

Two-operator verbs: add `--cosign naniwa`. Logs: {dir}/logs.",
            contexts.display()
        ),
        format!(
            "{made}: 事業者 kanto、naniwa、hokuto、模擬GPU付きノード4台

  export SEKISHO_CONFIG={}

  sekisho status                                   kanto の管理者として
  sekisho node list
  sekisho job submit {dir}/job.yaml --context sapporo
  sekisho job explain sapporo/hello --context sapporo
  sekisho policy list --context naniwa
  sekisho audit export audit.bin && sekisho audit verify audit.bin --genesis {dir}/genesis.bin

2事業者の署名が必要な操作には `--cosign naniwa` を付けます。ログ: {dir}/logs",
            contexts.display()
        ),
    );
    app.output.line(&text)
}

/// Test-only: the directory of a federation that nobody started, with its contexts file, whose path it returns.
#[cfg(test)]
pub(crate) fn test_federation(dir: &std::path::Path) -> PathBuf {
    use sekisho_transport::clock::SystemClock;
    use sekisho_types::time::Clock as _;
    let layout = Layout::new(&dir.join("dev")).unwrap();
    let plan = Plan::new(PORT_BASE).unwrap();
    let mut contexts = found::prepare(&layout, &plan, SystemClock.wall()).unwrap();
    // Ports on which nobody listens.
    for context in contexts.context.values_mut() {
        for (port, endpoint) in (1..).zip(&mut context.endpoints) {
            endpoint.address = format!("127.0.0.1:{port}");
        }
    }
    contexts.save(&layout.contexts()).unwrap();
    layout.contexts()
}
