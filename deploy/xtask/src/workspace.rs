//! The workspace as the checks see it: members, edges, tables of floors and of pure crates.
//!
//! A plain model instead of `cargo metadata`'s own types, so that a test can write down a workspace
//! with one thing wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use serde::Deserialize;

/// Why one crate depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Linked into what is shipped.
    Normal,
    /// Only for tests, examples and benchmarks.
    Dev,
    /// Runs while building.
    Build,
}

impl Kind {
    /// The table of `Cargo.toml` that such an edge stands in.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Normal => "dependencies",
            Self::Dev => "dev-dependencies",
            Self::Build => "build-dependencies",
        }
    }
}

/// An edge as a member's manifest writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Package name of the dependency (not a rename).
    pub on: String,
    /// The table that it stands in.
    pub kind: Kind,
}

/// A crate of this repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Package name.
    pub name: String,
    /// Its folder, relative to the root, with `/`.
    pub dir: String,
    /// Every edge that its manifest names, optional ones too.
    pub edges: Vec<Edge>,
}

/// Any package in the resolved graph, ours or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// The SPDX expression, when the manifest has one.
    pub licence: Option<String>,
    /// Where it comes from; `None` is a path inside the repository.
    pub source: Option<String>,
}

/// What the root manifest says about the house.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Tables {
    /// Member to floor.
    #[serde(default)]
    pub floors: BTreeMap<String, u32>,
    /// Pure member to the outside crates that it may name.
    #[serde(default)]
    pub pure: BTreeMap<String, BTreeSet<String>>,
}

/// Everything that the checks ask about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workspace {
    /// The folder of the root manifest.
    pub root: PathBuf,
    /// Crates of this repository.
    pub members: Vec<Member>,
    /// All packages of the graph.
    pub packages: Vec<Package>,
    /// The root manifest's tables.
    pub tables: Tables,
    /// Package name to the names that it links, for all platforms; versions are merged.
    pub linked: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    /// Asks cargo about the workspace that `dir` lies in. Never a folder that was compiled in: cargo shares what it
    /// built between checkouts, and the rules of another one would be checked.
    ///
    /// # Errors
    /// When cargo cannot resolve the workspace (also when `Cargo.lock` is out of date) or the tables
    /// in the root manifest have another shape.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(dir)
            .other_options(vec!["--locked".to_owned(), "--all-features".to_owned()])
            .exec()
            .context("cargo metadata")?;
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Metadata) -> anyhow::Result<Self> {
        let tables = if metadata.workspace_metadata.is_null() {
            Tables::default()
        } else {
            serde_json::from_value(metadata.workspace_metadata.clone())
                .context("[workspace.metadata] floors or pure")?
        };
        let root = metadata.workspace_root.as_std_path().to_owned();
        let members = metadata.workspace_packages().into_iter().map(|p| member(&root, p)).collect();
        let packages = metadata
            .packages
            .iter()
            .map(|p| Package {
                name: p.name.to_string(),
                version: p.version.to_string(),
                licence: p.license.clone(),
                source: p.source.as_ref().map(|s| s.repr.clone()),
            })
            .collect();
        Ok(Self { root, members, packages, tables, linked: linked(metadata) })
    }

    /// Whether `name` is a crate of this repository.
    #[must_use]
    pub fn is_member(&self, name: &str) -> bool {
        self.members.iter().any(|m| m.name == name)
    }

    /// Names of everything that `from` links, itself left out.
    #[must_use]
    pub fn reach(&self, from: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(name) = open.pop() {
            for next in self.linked.get(&name).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    }
}

fn member(root: &Path, package: &cargo_metadata::Package) -> Member {
    let dir = package.manifest_path.parent().map_or_else(String::new, |dir| {
        let path = dir.as_std_path();
        path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
    });
    let edges = package
        .dependencies
        .iter()
        .filter_map(|d| kind(d.kind).map(|kind| Edge { on: d.name.clone(), kind }))
        .collect();
    Member { name: package.name.to_string(), dir, edges }
}

fn kind(kind: DependencyKind) -> Option<Kind> {
    match kind {
        DependencyKind::Normal => Some(Kind::Normal),
        DependencyKind::Development => Some(Kind::Dev),
        DependencyKind::Build => Some(Kind::Build),
        // A table that this cargo_metadata does not know: cargo itself would refuse it first.
        DependencyKind::Unknown => None,
    }
}

fn linked(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|p| (&p.id, p.name.to_string())).collect();
    let mut linked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata.resolve.iter().flat_map(|r| &r.nodes) {
        let Some(from) = names.get(&node.id) else { continue };
        let to = linked.entry(from.clone()).or_default();
        for dep in &node.deps {
            let is_linked = dep.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal);
            if let (true, Some(name)) = (is_linked, names.get(&dep.pkg)) {
                to.insert(name.clone());
            }
        }
    }
    linked
}
