//! A container: its command with variables put in, its environment, and its limits.
//!
//! Must hold: `$(NAME)` is put in as Kubernetes does, from variables whose value the file has; a value that lies in a Secret is not
//! looked for and never quoted.

use super::super::draft::{MIB_PER_GIB, Place, Told, Why, cpus, memory, rounded};
use super::tree::{Entry, Fields, Node, Value};
use super::{quantity, reason};
use crate::failure::Failure;
use sekisho_types::payload::JobPayload;
use std::collections::BTreeMap;

/// Whole GPUs.
const GPU: &str = "nvidia.com/gpu";
/// How the names of shares end, of a GPU or of a slice, where the device plugin renames what it shares.
const SHARED: &str = ".shared";
/// How the names of MIG slices begin; behind it `mig-1g.5gb`.
const MAKER: &str = "nvidia.com/";
const SLICE: &str = "nvidia.com/mig-";

/// What a container comes to.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) run: JobPayload,
    pub(super) gpus: (u64, Place),
    /// MIG profile of its devices: `mig-1g.5gb`.
    pub(super) slice: Option<String>,
    /// What its shares of devices are called.
    pub(super) share: Option<String>,
}

/// Limits that a spec says.
#[derive(Debug, Default)]
struct Limits {
    gpus: Option<(u64, Place, String)>,
    memory_mib: Option<u64>,
    cpu_milli: Option<u32>,
}

/// Whether a resource is a GPU, a slice or a share of one.
fn is_gpu(name: &str) -> bool {
    let whole = name.strip_suffix(SHARED).unwrap_or(name);
    whole == GPU || whole.starts_with(SLICE)
}

/// Whether a container's limits name a GPU.
pub(super) fn asks_for_gpus(node: &Node) -> bool {
    let of = |list: &str| match node.find(&["resources", list]).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().any(|entry| is_gpu(&entry.key)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_))
        | None => false,
    };
    of("limits") || of("requests")
}

/// Reads a container.
pub(super) fn read(mut fields: Fields, told: &mut Vec<Told>) -> Result<Container, Failure> {
    let env = environment(&mut fields, told)?;
    let command = command(&mut fields, &env)?;
    let working_dir = directory(&mut fields)?;
    let limits = limits(&mut fields, told)?;
    fields.rest(told);
    let Some((count, place, name)) = limits.gpus else {
        return Err(fields.place.refuse(format!("{}: asks for no GPU", fields.path)));
    };
    let called = || name.strip_prefix(MAKER).map(str::to_owned);
    let (slice, share) = match name.as_str() {
        GPU => (None, None),
        name if name.ends_with(SHARED) => (None, called()),
        _ => (called(), None),
    };
    let (memory_mib, cpu_milli) = (limits.memory_mib, limits.cpu_milli);
    let run =
        JobPayload { command, env, working_dir, memory_mib, cpu_milli, ..JobPayload::default() };
    Ok(Container { run, gpus: (count, place), slice, share })
}

/// Command and arguments, with variables put in.
fn command(fields: &mut Fields, env: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    for key in ["command", "args"] {
        let path = fields.path_of(key);
        for node in fields.list(key)? {
            let Value::Text(text) = &node.value else {
                return Err(node.place.refuse(format!("{path}: must be texts, in quotes")));
            };
            words.push(expand(text, env));
        }
        if words.is_empty() {
            let why = format!(
                "{}.command: is missing; what the image starts by itself is not in this file: write it",
                fields.path
            );
            return Err(fields.place.refuse(why));
        }
    }
    Ok(words)
}

/// Puts `$(NAME)` in where the value is known; `$$` is one `$`.
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let named = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        match named.and_then(|(name, tail)| Some((env.get(name)?, tail))) {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn directory(fields: &mut Fields) -> Result<Option<String>, Failure> {
    let Some(word) = fields.text("workingDir")? else { return Ok(None) };
    let payload = JobPayload {
        command: vec!["true".to_owned()],
        working_dir: Some(word.text),
        ..JobPayload::default()
    };
    let path = fields.path_of("workingDir");
    payload.check().map_err(|error| word.place.refuse(format!("{path}: {}", error.must)))?;
    Ok(payload.working_dir)
}

/// Variables whose value the file has; others are told.
fn environment(
    fields: &mut Fields,
    told: &mut Vec<Told>,
) -> Result<BTreeMap<String, String>, Failure> {
    let list = fields.path_of("env");
    let mut env = BTreeMap::new();
    for (index, node) in fields.list("env")?.into_iter().enumerate() {
        let mut variable = Fields::of(node, format!("{list}[{index}]"))?;
        let start = variable.place;
        let Some(name) = variable.text("name")? else {
            return Err(start.refuse(format!("{}.name: is missing", variable.path)));
        };
        let from = variable.take("valueFrom");
        let value = variable.text("value")?.map(|word| word.text).unwrap_or_default();
        variable.rest(told);
        let quoted = format!("{}: {}", variable.path, name.text);
        if let Some(from) = from {
            let quoted = format!("{quoted}, valueFrom: {}", from.node.flow());
            told.push(Told { place: start, quoted, why: source(&from.node) });
            continue;
        }
        let value = expand(&value, &env);
        let one = JobPayload {
            command: vec!["true".to_owned()],
            env: BTreeMap::from([(name.text.clone(), value.clone())]),
            ..JobPayload::default()
        };
        match one.check() {
            // The last one counts, as in a Pod.
            Ok(()) => drop(env.insert(name.text, value)),
            Err(error) => {
                let why = Why::new(
                    format!("the variable {}: leave it out", error.must),
                    format!("設定できない変数です({})。省いてください", error.must),
                );
                told.push(Told { place: start, quoted, why });
            }
        }
    }
    Ok(env)
}

/// Why a value that lies elsewhere is not carried over.
fn source(from: &Node) -> Why {
    if from.find(&["secretKeyRef"]).is_some() {
        return Why::new(
            "the value lies in a Secret: write it in run.env with `payload: sealed`, which only sites that may run the job can read",
            "値は Secret にあります。`payload: sealed` を付けて run.env に書いてください。実行できる拠点だけが読めます",
        );
    }
    if from.find(&["configMapKeyRef"]).is_some() {
        return Why::new(
            "the value lies in a ConfigMap: write it in run.env",
            "値は ConfigMap にあります。run.env に書いてください",
        );
    }
    Why::new(
        "the value is the Pod's own: there are SEKISHO_JOB, SEKISHO_TASK, SEKISHO_RANK, SEKISHO_GROUP_SIZE and SEKISHO_GPU_COUNT",
        "値は Pod 自身の情報です。SEKISHO_JOB、SEKISHO_TASK、SEKISHO_RANK、SEKISHO_GROUP_SIZE、SEKISHO_GPU_COUNT があります",
    )
}

/// A quantity of a field, in thousandths.
fn milli(fields: &Fields, entry: &Entry) -> Result<u128, Failure> {
    let quantity = match &entry.node.value {
        Value::Number(text) | Value::Text(text) => quantity::milli(text),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    };
    let why = || {
        let path = fields.path_of(&entry.key);
        entry.node.place.refuse(format!("{path}: `{}` is no quantity", entry.node.flow()))
    };
    quantity.ok_or_else(why)
}

/// Limits, and requests that say the same; other requests are told.
fn limits(fields: &mut Fields, told: &mut Vec<Told>) -> Result<Limits, Failure> {
    let mut resources = fields.fields("resources")?;
    let mut of_limits = resources.fields("limits")?;
    let mut of_requests = resources.fields("requests")?;
    let mut limits = Limits::default();
    let mut known: BTreeMap<String, u128> = BTreeMap::new();
    for entry in of_limits.take_all().into_iter().filter(|entry| !is_null(entry)) {
        let amount = milli(&of_limits, &entry)?;
        known.insert(entry.key.clone(), amount);
        if let Some(why) = limit(&mut limits, &entry, amount)? {
            told.push(of_limits.tell(&entry, why));
        }
    }
    for entry in of_requests.take_all().into_iter().filter(|entry| !is_null(entry)) {
        let amount = milli(&of_requests, &entry)?;
        let path = of_requests.path_of(&entry.key);
        match known.get(&entry.key) {
            Some(limit) if *limit == amount => {}
            Some(_) | None if is_gpu(&entry.key) => {
                let why =
                    format!("{path}: GPUs are asked for by their limit, which must be the same");
                return Err(entry.node.place.refuse(why));
            }
            Some(_) | None => {
                let why = reason::of_request(&entry.key);
                told.push(of_requests.tell(&entry, why));
            }
        }
    }
    resources.rest(told);
    Ok(limits)
}

fn is_null(entry: &Entry) -> bool {
    entry.node.value == Value::Null
}

/// Takes one limit; why, if no spec can say it as it stands.
fn limit(limits: &mut Limits, entry: &Entry, amount: u128) -> Result<Option<Why>, Failure> {
    let place = entry.node.place;
    let large = || place.refuse(format!("{}: is too much", entry.key));
    if is_gpu(&entry.key) {
        if let Some((_, _, other)) = &limits.gpus {
            let why = format!("{} beside {other}, and a member has one class", entry.key);
            return Err(place.refuse(why));
        }
        if !amount.is_multiple_of(1000) {
            return Err(place.refuse(format!("{}: must be a whole number", entry.key)));
        }
        let count = u64::try_from(amount.div_ceil(1000)).map_err(|_large| large())?;
        limits.gpus = Some((count, place, entry.key.clone()));
        return Ok(None);
    }
    match entry.key.as_str() {
        "cpu" => {
            let milli = u64::try_from(amount).map_err(|_large| large())?;
            limits.cpu_milli = Some(cpus(milli, place)?);
            Ok(None)
        }
        "memory" => {
            let kib = amount.div_ceil(1000).div_ceil(1024);
            let mib = u64::try_from(kib.div_ceil(1024)).map_err(|_large| large())?;
            let (whole, _) = memory(mib, place)?;
            limits.memory_mib = Some(whole);
            let asked = amount.div_ceil(1000);
            let given = u128::from(whole / MIB_PER_GIB) << 30;
            Ok((given != asked).then(|| rounded(whole)))
        }
        key => Ok(Some(reason::of_request(key))),
    }
}
