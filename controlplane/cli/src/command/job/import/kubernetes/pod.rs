//! A Pod's spec: its one container that asks for GPUs, and the device class that its selectors name.

use super::super::draft::{MIB_PER_GIB, Place, Told, Why, gpus, shared};
use super::super::given::Given;
use super::container::{self, Container};
use super::metadata::Metadata;
use super::tree::{Fields, Node, Word};
use super::{Limit, Runs, affinity, reason};
use crate::failure::Failure;
use sekisho_types::device::MigProfile;
use sekisho_types::id::DeviceClass;
use sekisho_types::payload::JobPayload;
use sekisho_types::topology::Topology;

/// Label of a node: the model of its GPUs.
const PRODUCT: &str = "nvidia.com/gpu.product";
/// Label of a node: the memory of each of its GPUs, MiB.
const MEMORY: &str = "nvidia.com/gpu.memory";

/// What a Pod comes to.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) place: Place,
    /// Without restarts.
    pub(super) run: JobPayload,
    pub(super) gpus: u32,
    pub(super) class: DeviceClass,
    pub(super) gpu_memory_gib: Option<u64>,
    pub(super) policy: Option<Word>,
    /// `activeDeadlineSeconds`.
    pub(super) deadline: Option<(u64, Place)>,
}

/// What selectors say of the GPUs.
#[derive(Debug, Default)]
struct Wanted {
    products: Vec<Word>,
    memory_gib: Option<u64>,
}

impl Pod {
    /// Its time limit, which stands there under this path.
    pub(super) fn limit(&self, path: &str) -> Option<Limit> {
        let (seconds, place) = self.deadline?;
        Some(Limit { seconds, place, quoted: format!("{path}: {seconds}") })
    }
}

/// Reads a Pod's spec. What it says of its place goes into the topology.
pub(super) fn read(
    mut spec: Fields,
    (own, runs, topology): (&Metadata, Runs, &mut Topology),
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<Pod, Failure> {
    let container = container(&mut spec, told)?;
    let mut affinity = spec.fields("affinity")?;
    affinity::apart(&mut affinity, own, topology, told)?;
    affinity::spread(&mut spec, runs, topology, given, told)?;
    let wanted = wanted(&mut spec, affinity, told)?;
    let policy = spec.text("restartPolicy")?;
    let deadline = spec.count("activeDeadlineSeconds")?;
    spec.rest(told);
    let class = class(&container, &wanted.products, given, told)?;
    let (count, place) = container.gpus;
    Ok(Pod {
        place: spec.place,
        gpus: gpus(count, &class, place)?,
        class,
        gpu_memory_gib: wanted.memory_gib,
        run: container.run,
        policy,
        deadline,
    })
}

/// The container that asks for GPUs; others are told.
fn container(spec: &mut Fields, told: &mut Vec<Told>) -> Result<Container, Failure> {
    let list = spec.path_of("containers");
    let mut chosen: Option<(Node, String)> = None;
    for (index, node) in spec.list("containers")?.into_iter().enumerate() {
        let path = format!("{list}[{index}]");
        if !container::asks_for_gpus(&node) {
            let name = node.find(&["name"]).map(Node::flow).unwrap_or_default();
            let why = Why::new(
                "a member has one command, here that of the container with GPUs: start the other from it, or leave it out",
                "メンバーのコマンドは1つで、GPU を使うコンテナーのものです。もう一方はその中から起動するか、省いてください",
            );
            told.push(Told { place: node.place, quoted: format!("{path}: {name}"), why });
            continue;
        }
        if let Some((_, first)) = &chosen {
            let why =
                format!("{path}: asks for GPUs as {first} does, and a member has one command");
            return Err(node.place.refuse(why));
        }
        chosen = Some((node, path));
    }
    let Some((node, path)) = chosen else {
        let fix = "Ask for some: `resources: {limits: {nvidia.com/gpu: 8}}`.";
        let why = format!("{list}: none asks for a GPU, and every member has one");
        return Err(spec.place.refuse(why).remedy(fix));
    };
    container::read(Fields::of(node, path)?, told)
}

/// Takes what selectors say of the GPUs; the rest of them is told.
fn wanted(
    spec: &mut Fields,
    mut affinity: Fields,
    told: &mut Vec<Told>,
) -> Result<Wanted, Failure> {
    let mut wanted = Wanted::default();
    let mut selector = spec.fields("nodeSelector")?;
    wanted.products.extend(selector.text(PRODUCT)?);
    for entry in &selector.take_all() {
        told.push(selector.tell(entry, reason::of_selector()));
    }
    let mut of_nodes = affinity.fields("nodeAffinity")?;
    let mut required = of_nodes.fields("requiredDuringSchedulingIgnoredDuringExecution")?;
    let list = required.path_of("nodeSelectorTerms");
    let terms = required.list("nodeSelectorTerms")?;
    let is_only = terms.len() == 1;
    for (index, term) in terms.into_iter().enumerate() {
        let path = format!("{list}[{index}]");
        if !is_only {
            let why = Why::new(
                "one of several terms, any of which will do: a spec has one class; write the one to take",
                "いずれかを満たせばよい条件です。仕様のクラスは1つなので、使うものを書いてください",
            );
            let quoted = format!("{path}: {}", term.flow());
            told.push(Told { place: term.place, quoted, why });
            continue;
        }
        let mut term = Fields::of(term, path)?;
        let path = term.path_of("matchExpressions");
        for (index, node) in term.list("matchExpressions")?.into_iter().enumerate() {
            expression(&node, &format!("{path}[{index}]"), &mut wanted, told);
        }
        term.rest(told);
    }
    required.rest(told);
    of_nodes.rest(told);
    affinity.rest(told);
    Ok(wanted)
}

/// One condition on a node's labels.
fn expression(node: &Node, path: &str, wanted: &mut Wanted, told: &mut Vec<Told>) {
    let word = |key: &str| node.find(&[key]).and_then(Node::scalar).unwrap_or_default();
    let (key, operator) = (word("key"), word("operator"));
    let values = node.find(&["values"]).map(Node::items).unwrap_or_default();
    let values: Vec<Word> = values
        .iter()
        .filter_map(|value| Some(Word { text: value.scalar()?, place: value.place }))
        .collect();
    let why = match (key.as_str(), operator.as_str(), values.as_slice()) {
        (PRODUCT, "In", [_, ..]) => {
            wanted.products.extend(values.iter().cloned());
            return;
        }
        (MEMORY, "Gt", [least]) => match above(&least.text) {
            Some(gib) => {
                wanted.memory_gib = wanted.memory_gib.max(Some(gib));
                return;
            }
            None => Why::new(
                "least memory is whole GiB in a spec: write resources.memory_gib",
                "最小メモリーは GiB 単位です。resources.memory_gib に書いてください",
            ),
        },
        _ => reason::of_selector(),
    };
    told.push(Told { place: node.place, quoted: format!("{path}: {}", node.flow()), why });
}

/// GiB, where more than so many MiB is the same as at least so many GiB.
fn above(mib: &str) -> Option<u64> {
    let least = mib.parse::<u64>().ok()?.checked_add(1)?;
    least.is_multiple_of(MIB_PER_GIB).then(|| least.div_euclid(MIB_PER_GIB))
}

/// The class that the GPUs are of.
fn class(
    container: &Container,
    products: &[Word],
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<DeviceClass, Failure> {
    let (_, place) = container.gpus;
    if let Some(share) = &container.share {
        let quoted = format!("resources.limits: nvidia.com/{share}");
        told.push(Told { place, quoted, why: shared() });
        told.extend(products.iter().map(in_class));
        return given.shared_class(share, place);
    }
    if let Some(slice) = &container.slice {
        if let Some(class) = of_product(slice, products, given)? {
            return Ok(class);
        }
        told.extend(products.iter().map(in_class));
        return given.class(Some(slice), place);
    }
    let Some((first, others)) = products.split_first() else { return given.class(None, place) };
    let class = given.class(Some(&first.text), first.place)?;
    for other in others {
        if given.class(Some(&other.text), other.place)? != class {
            let why = format!("`{}` is of another class, and a member has one", other.text);
            return Err(other.place.refuse(why));
        }
    }
    Ok(class)
}

/// The class of a slice of the one product that is named, where the command line says the product's class and not the slice's.
fn of_product(
    slice: &str,
    products: &[Word],
    given: &Given,
) -> Result<Option<DeviceClass>, Failure> {
    let [product] = products else { return Ok(None) };
    let profile = slice.strip_prefix("mig-").and_then(|name| name.parse::<MigProfile>().ok());
    let Some(profile) = profile.filter(|_| !given.says(slice) && given.says(&product.text)) else {
        return Ok(None);
    };
    let whole = given.class(Some(&product.text), product.place)?;
    let class = profile.class(&whole);
    class.map(Some).map_err(|error| product.place.refuse(format!("the class of {slice}: {error}")))
}

/// That a product is not looked at, since a class was given that is of it.
fn in_class(product: &Word) -> Told {
    let why = Why::new(
        "the class of a slice or a share says of which model it is: see resources.class",
        "スライスや共有枠のクラスに機種も含まれます。resources.class を確認してください",
    );
    Told { place: product.place, quoted: format!("{PRODUCT}: {}", product.text), why }
}
