//! How many members, each with how many GPUs of which class and how many processors: what nodes, tasks and GPUs come to.
//!
//! Must hold: options that say the same thing twice must agree, else it is an error that names both; what Slurm would choose by
//! itself is not guessed but asked for.

use super::super::draft::{Place, Told, Why, cpus, gpus, group, shared};
use super::super::given::Given;
use super::Asked;
use super::option::{FEATURE, Field, Set};
use crate::failure::Failure;
use sekisho_types::id::DeviceClass;

/// A part of a GPU, as Slurm calls it.
const SHARD: &str = "shard";

/// What a script's numbers come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) group: u32,
    pub(super) class: DeviceClass,
    pub(super) gpus: u32,
    pub(super) cpu_milli: Option<u32>,
    /// Processors of a member as `--mem-per-cpu` counts them: at least one for each task.
    pub(super) cpus_counted: u64,
}

/// Numbers of GPUs that one option gives, with their type.
#[derive(Debug)]
struct Counted<'s> {
    set: &'s Set,
    of: Option<String>,
    count: u64,
}

/// GPUs as the options say them.
#[derive(Debug, Default)]
struct Gpus<'s> {
    /// `--gres` and `--gpus-per-node`.
    node: Vec<Counted<'s>>,
    total: Option<Counted<'s>>,
    task: Option<Counted<'s>>,
    socket: Option<Counted<'s>>,
}

impl Shape {
    /// What the options come to.
    pub(super) fn of(asked: &Asked, given: &Given, told: &mut Vec<Told>) -> Result<Self, Failure> {
        let found = Gpus::of(asked, told)?;
        if let (Some(set), None) = (asked.get(&Field::SocketsPerNode), &found.socket) {
            told.push(set.told(Why::new(
                "nodes are not chosen by their sockets: leave it out",
                "ソケット数ではノードを選べません。省いてください",
            )));
        }
        let (members, place) = members(asked, &found, told)?;
        let tasks = tasks(asked, members, told)?;
        let counts = found.of_member(asked, members, tasks)?;
        let Some(first) = counts.first() else {
            let fix = "Ask for some, e.g. `#SBATCH --gpus-per-node=h100:8`.";
            return Err(place.refuse("asks for no GPU, and every member has one").remedy(fix));
        };
        if let Some(other) = counts.iter().find(|other| other.count != first.count) {
            let why = format!(
                "`{}` is {} GPUs of a node, `{}` is {}",
                first.set.quoted, first.count, other.set.quoted, other.count
            );
            return Err(other.set.at.refuse(why));
        }
        let named = counts.iter().find(|counted| counted.of.is_some()).unwrap_or(first);
        let differs = |other: &&Counted<'_>| other.of.is_some() && other.of != named.of;
        if let Some(other) = counts.iter().find(differs) {
            let why = format!(
                "`{}` and `{}` name two types of GPU, and a member has one",
                named.set.quoted, other.set.quoted
            );
            return Err(other.set.at.refuse(why));
        }
        let (cpu_milli, cpus_counted) = processors(asked, tasks, first.count)?;
        let feature = feature(asked, named.of.is_some(), given, told);
        let class = match named.of.as_deref().or(feature) {
            Some(of) if is_shard(of) => given.shared_class(of, named.set.at)?,
            of => given.class(of, named.set.at)?,
        };
        let gpus = gpus(first.count, &class, first.set.at)?;
        Ok(Self { group: group(members, place)?, class, gpus, cpu_milli, cpus_counted })
    }
}

impl<'s> Gpus<'s> {
    fn of(asked: &'s Asked, told: &mut Vec<Told>) -> Result<Self, Failure> {
        let one = |field: &Field| asked.get(field).map(typed).transpose();
        let mut found = Self {
            node: Vec::new(),
            total: one(&Field::Gpus)?,
            task: one(&Field::GpusPerTask)?,
            socket: one(&Field::GpusPerSocket)?,
        };
        found.node.extend(one(&Field::GpusPerNode)?);
        if let Some(set) = asked.get(&Field::Gres) {
            found.node.extend(gres(set, told)?);
        }
        Ok(found)
    }

    /// GPUs of one member, by each option that says so.
    fn of_member(
        self,
        asked: &Asked,
        members: u64,
        tasks: Option<u64>,
    ) -> Result<Vec<Counted<'s>>, Failure> {
        let mut counts = self.node;
        if let Some(total) = self.total {
            if !total.count.is_multiple_of(members) {
                let why = format!("{} GPUs cannot be divided by {members} nodes", total.count);
                return Err(total.set.at.refuse(why));
            }
            let count = total.count.checked_div(members).unwrap_or_default();
            counts.push(Counted { count, ..total });
        }
        if let Some(task) = self.task {
            let Some(tasks) = tasks else {
                let why = "GPUs of each task, and how many tasks a node has is not said: add --ntasks-per-node, or --ntasks that the nodes divide";
                return Err(task.set.at.refuse(why));
            };
            counts.push(Counted { count: task.count.saturating_mul(tasks), ..task });
        }
        if let Some(socket) = self.socket {
            let Some(sockets) = asked.get(&Field::SocketsPerNode) else {
                let why = "GPUs of each socket, and how many sockets a node has is not said: add --sockets-per-node";
                return Err(socket.set.at.refuse(why));
            };
            let sockets = sockets.count()?;
            counts.push(Counted { count: socket.count.saturating_mul(sockets), ..socket });
        }
        Ok(counts)
    }
}

/// `[TYPE:]COUNT`.
fn typed(set: &Set) -> Result<Counted<'_>, Failure> {
    let (of, count) = match set.value.rsplit_once(':') {
        Some((of, count)) => (Some(of.to_owned()), count),
        None => (None, set.value.as_str()),
    };
    if set.value.contains(',') {
        return Err(set.at.refuse("names several types of GPU, and a member has one"));
    }
    let count = number(count).filter(|count| *count > 0);
    let why = || set.at.refuse(format!("`{}` is not a number of GPUs like 4 or h100:4", set.value));
    let is_named = of.as_deref().is_none_or(|of| !of.is_empty() && !of.contains(':'));
    let count = count.filter(|_| is_named).ok_or_else(why)?;
    Ok(Counted { set, of, count })
}

fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

/// Whether what is asked for is a share of a GPU: `shard`, or `shard:TYPE`.
fn is_shard(of: &str) -> bool {
    of.split(':').next() == Some(SHARD)
}

/// `--constraint`, where it is the kind of GPU and nothing else says that; else it is told.
fn feature<'s>(
    asked: &'s Asked,
    is_typed: bool,
    given: &Given,
    told: &mut Vec<Told>,
) -> Option<&'s str> {
    let set = asked.get(&Field::Constraint)?;
    if !is_typed && given.says(&set.value) {
        return Some(&set.value);
    }
    told.push(set.told(FEATURE.into()));
    None
}

/// `--gres`: `gpu[:TYPE][:COUNT]`, or `shard` in its place, among others, which are told.
fn gres<'s>(set: &'s Set, told: &mut Vec<Told>) -> Result<Option<Counted<'s>>, Failure> {
    let mut found: Option<Counted<'s>> = None;
    for item in set.value.split(',') {
        let item = item.strip_prefix("gres:").unwrap_or(item);
        let mut words = item.split(':');
        let name = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        if name != "gpu" && name != SHARD {
            let why = Why::new(
                "only GPUs are counted: see to it in the script that the node has it",
                "数えるのは GPU だけです。ノードに備わっているかはスクリプトで確認してください",
            );
            let quoted = format!("--gres={item}");
            if item.is_empty() {
                return Err(set.at.refuse("--gres: a name is missing"));
            }
            if item != "none" {
                told.push(Told { quoted, ..set.told(why) });
            }
            continue;
        }
        let (of, count) = match rest.as_slice() {
            [] => (None, Some(1)),
            [one] => match number(one) {
                Some(count) => (None, Some(count)),
                None => (Some((*one).to_owned()), Some(1)),
            },
            [of, count] => (Some((*of).to_owned()), number(count)),
            _ => (None, None),
        };
        let is_named = of.as_deref() != Some("");
        let Some(count) = count.filter(|count| *count > 0 && is_named) else {
            let why = format!("`{item}` is no number of GPUs like gpu:4 or gpu:h100:4");
            return Err(set.at.refuse(why));
        };
        if found.is_some() {
            return Err(set.at.refuse("names GPUs twice, and a member has one type"));
        }
        let of = if name == SHARD {
            let quoted = format!("--gres={item}");
            told.push(Told { quoted, ..set.told(shared()) });
            Some(of.map_or_else(|| SHARD.to_owned(), |of| format!("{SHARD}:{of}")))
        } else {
            of
        };
        found = Some(Counted { set, of, count });
    }
    Ok(found)
}

/// Members, and where their number stands.
fn members(asked: &Asked, found: &Gpus<'_>, told: &mut Vec<Told>) -> Result<(u64, Place), Failure> {
    let ntasks = asked.get(&Field::Ntasks);
    let per_node = asked.get(&Field::NtasksPerNode);
    if let Some(set) = asked.get(&Field::Nodes) {
        let (least, is_exact) = nodes(set)?;
        if !is_exact {
            told.push(set.told(Why::new(
                format!("a group is all or nothing: carried over as its least, {least} members"),
                format!("グループは全体で1つです。最小の {least} メンバーとして移しました"),
            )));
        }
        tell_group(set, least, told);
        return Ok((least, set.at));
    }
    if let (Some(total), Some(node)) = (&found.total, found.node.first()) {
        if !total.count.is_multiple_of(node.count) {
            let (all, each) = (total.count, node.count);
            let why = format!("{all} GPUs cannot be divided into nodes with {each} each");
            return Err(total.set.at.refuse(why));
        }
        let members = total.count.checked_div(node.count).unwrap_or_default();
        tell_group(total.set, members, told);
        return Ok((members, total.set.at));
    }
    if let (Some(all), Some(each)) = (ntasks, per_node) {
        let members = all.count()?.div_ceil(each.count()?);
        tell_group(all, members, told);
        return Ok((members, all.at));
    }
    let fix = "Say it: `#SBATCH --nodes=N`.";
    let open = |set: &Set| {
        let why = format!("`{}` leaves the number of nodes to Slurm", set.quoted);
        set.at.refuse(why).remedy(fix)
    };
    if let Some(set) = ntasks
        && set.count()? > 1
    {
        return Err(open(set));
    }
    match &found.total {
        Some(total) if total.count > 1 => Err(open(total.set)),
        Some(total) => Ok((1, total.set.at)),
        None => {
            let place = found.node.first().map(|counted| counted.set.at);
            Ok((1, place.unwrap_or(Place { line: 1, column: 1 })))
        }
    }
}

/// That a group runs its command in every member.
fn tell_group(set: &Set, members: u64, told: &mut Vec<Told>) {
    if members > 1 {
        told.push(set.told(Why::new(
            format!("carried over as group: {members}, but the script runs in every member, where Slurm runs it on the first node: let it look at SEKISHO_RANK"),
            format!("group: {members} として移しました。Slurm では先頭ノードだけで動くスクリプトが全メンバーで動きます。SEKISHO_RANK で分岐してください"),
        )));
    }
}

/// `N`, `MIN-MAX`, or a list of such: the least, and whether it is the only one.
fn nodes(set: &Set) -> Result<(u64, bool), Failure> {
    let bad = || {
        let why = format!("`{}` is no number of nodes like 4 or 2-4", set.value);
        set.at.refuse(why)
    };
    let count = |text: &str| {
        let (digits, times) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1024),
            None => (text, 1),
        };
        number(digits)?.checked_mul(times).filter(|count| *count > 0)
    };
    let (mut least, mut most) = (u64::MAX, 0u64);
    for item in set.value.split(',') {
        let (range, step) = match item.split_once(':') {
            Some((range, step)) => (range, count(step)),
            None => (item, Some(1)),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (count(first).ok_or_else(bad)?, count(last).ok_or_else(bad)?);
        if first > last || step.is_none() {
            return Err(bad());
        }
        (least, most) = (least.min(first), most.max(last));
    }
    Ok((least, least == most))
}

/// Tasks of one member, if it is known.
fn tasks(asked: &Asked, members: u64, told: &mut Vec<Told>) -> Result<Option<u64>, Failure> {
    let per_node = asked.get(&Field::NtasksPerNode).map(|set| set.count().map(|n| (set, n)));
    let per_node = per_node.transpose()?;
    let Some(all) = asked.get(&Field::Ntasks) else {
        if let Some((set, count)) = per_node.filter(|(_, count)| *count > 1) {
            told.push(set.told(launcher(count)));
        }
        return Ok(per_node.map(|(_, count)| count));
    };
    let count = all.count()?;
    if count < members {
        let why = format!("{count} tasks on {members} nodes: a node would have none");
        return Err(all.at.refuse(why));
    }
    if let Some((set, most)) = per_node {
        if most.saturating_mul(members) < count {
            let why = format!("{count} tasks do not fit on {members} nodes with {most} each");
            return Err(set.at.refuse(why));
        }
        if most > 1 {
            told.push(set.told(launcher(most)));
        }
    }
    let each = count.checked_div(members).filter(|_| count.is_multiple_of(members));
    if count > members && per_node.is_none() {
        told.push(all.told(launcher(each.unwrap_or(count))));
    }
    Ok(each)
}

fn launcher(count: u64) -> Why {
    Why::new(
        format!(
            "a member starts its command once: start {count} tasks inside it, e.g. with torchrun"
        ),
        format!(
            "メンバーごとにコマンドを1回起動します。{count} 個のタスクはその中で(torchrun などで)起動してください"
        ),
    )
}

/// Processors of a member: as a limit, and as memory is counted by.
fn processors(asked: &Asked, tasks: Option<u64>, gpus: u64) -> Result<(Option<u32>, u64), Failure> {
    let of = |set: &Set, times: u64| -> Result<(Option<u32>, u64), Failure> {
        let count = set.count()?.saturating_mul(times);
        let milli = cpus(count.saturating_mul(1000), set.at)?;
        Ok((Some(milli), count))
    };
    let is_uneven = tasks.is_none() && asked.contains_key(&Field::Ntasks);
    let uneven = |set: &Set| {
        let why = "is for each task, and the tasks cannot be divided by the nodes evenly";
        set.at.refuse(format!("`{}` {why}", set.quoted))
    };
    match (asked.get(&Field::CpusPerTask), asked.get(&Field::CpusPerGpu)) {
        (Some(_), Some(set)) => {
            Err(set.at.refuse("--cpus-per-task and --cpus-per-gpu exclude each other"))
        }
        (Some(set), None) if is_uneven => Err(uneven(set)),
        (Some(set), None) => of(set, tasks.unwrap_or(1)),
        (None, Some(set)) => of(set, gpus),
        (None, None) => match asked.get(&Field::MemPerCpu) {
            Some(set) if is_uneven => Err(uneven(set)),
            Some(_) | None => Ok((None, tasks.unwrap_or(1))),
        },
    }
}
