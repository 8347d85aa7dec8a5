//! Contexts: to which federation, through which members, as whom. Read from one TOML file.
//!
//! Must hold: the file names keys by path and never holds one; paths are relative to the file, so that a directory
//! made by `sekisho dev` can be moved; an unknown key is refused, because a misspelt trust root must not be ignored.

use crate::failure::{Failure, of_file};
use crate::language::pick;
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::operator::{BundleRoot, OperatorKeys};
use sekisho_transport::address::Address;
use sekisho_transport::names::Names;
use sekisho_transport::part;
use sekisho_transport::pki::certificate_pem;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{ClusterId, Digest, OperatorId, SiteId};
use sekisho_types::principal::TrustDomain;
use sekisho_types::revision::Incarnation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Names the contexts file, before any other place.
pub const VARIABLE: &str = "SEKISHO_CONFIG";

/// Largest contexts file, bytes: hundreds of federations.
const FILE_MAX: u64 = 1024 * 1024;

/// The contexts file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The context that is used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Contexts by name.
    #[serde(default)]
    pub context: BTreeMap<String, Context>,
}

/// One context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it; 1 until it was restored from a backup.
    #[serde(default = "first")]
    pub incarnation: Incarnation,
    /// Version of the endorser bundle that the roots are of; 0 if nobody has said.
    #[serde(default)]
    pub bundle_version: u64,
    /// SHA-256 of that endorser bundle: by it the keys of sites are believed. Without it nothing can be sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// The operator whose authority vouches for the identity.
    pub operator: OperatorId,
    /// PEM file: certificate chain, leaf first.
    pub identity: PathBuf,
    /// PEM file: key of the certificate.
    pub identity_key: PathBuf,
    /// PEM file: Ed25519 key that signs commands. Without it only reads work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
    /// Made by `sekisho dev`.
    #[serde(default)]
    pub dev: bool,
    /// Who is asked for the addresses of members that are named by name; without, whom this machine is set up with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolvers: Vec<SocketAddr>,
    /// How its people log in with the operator's identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginSettings>,
    /// Members to ask, nearest first.
    pub endpoints: Vec<Endpoint>,
    /// Whom to believe.
    pub roots: Vec<Root>,
}

fn first() -> Incarnation {
    Incarnation(1)
}

/// An operator's identity provider, as `sekisho login` asks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginSettings {
    /// `https://…`, letter by letter as it names itself.
    pub issuer: String,
    /// As which this program is registered there; a public client.
    pub client_id: String,
    /// PEM file: the roots under which it proves itself. The machine's own are not used.
    pub roots: PathBuf,
    /// What is asked for; `openid` must be among it.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "groups"].map(str::to_owned).to_vec()
}

/// A member's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `host:port`.
    pub address: String,
    /// Whose member.
    pub operator: OperatorId,
    /// Where it stands.
    pub site: SiteId,
}

/// An operator's root certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The operator.
    pub operator: OperatorId,
    /// Its trust domain.
    pub trust_domain: TrustDomain,
    /// PEM file.
    pub file: PathBuf,
}

/// Where the contexts file is: `--config`, `$SEKISHO_CONFIG`, `$SEKISHO_HOME/contexts.toml`,
/// `$XDG_CONFIG_HOME/sekisho/contexts.toml`, `~/.config/sekisho/contexts.toml`.
#[must_use]
pub fn locate(
    named: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named
        .map(Path::to_owned)
        .or_else(|| set(VARIABLE))
        .or_else(|| set("SEKISHO_HOME").map(|home| home.join("contexts.toml")))
        .or_else(|| set("XDG_CONFIG_HOME").map(|home| home.join("sekisho/contexts.toml")))
        .or_else(|| set("HOME").map(|home| home.join(".config/sekisho/contexts.toml")))
}

impl Contexts {
    /// Reads a contexts file; relative paths in it become relative to its folder.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with line and column, or if the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let size = std::fs::metadata(path).map_err(|error| of_file(path, &error))?.len();
        if size > FILE_MAX {
            return Err(of_file(path, &format!("larger than {FILE_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| of_file(path, &error))?;
        let mut contexts: Self = toml::from_str(&text).map_err(|error| {
            let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
            of_file(path, &format!("line {line}, column {column}: {}", error.message()))
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for context in contexts.context.values_mut() {
            context.anchor(folder);
        }
        Ok(contexts)
    }

    /// Writes the file. It holds no secret.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string_pretty(self).map_err(|error| of_file(path, &error))?;
        Ok(part::replace(path, text.as_bytes())?)
    }

    /// The context of this name, else the current one, else the only one.
    ///
    /// # Errors
    /// `NOT_FOUND` with the names that there are.
    pub fn pick(
        &self,
        named: Option<&str>,
        language: Language,
    ) -> Result<(&str, &Context), Failure> {
        let only = || (self.context.len() == 1).then(|| self.context.keys().next()).flatten();
        let name = named.or(self.current.as_deref()).or_else(|| only().map(String::as_str));
        let found = name.and_then(|name| self.context.get_key_value(name));
        if let Some((name, context)) = found {
            return Ok((name, context));
        }
        let names: Vec<&str> = self.context.keys().map(String::as_str).collect();
        let have = names.join(", ");
        let (en, ja) = match name {
            Some(name) => (
                format!("context `{name}`; known: {have}"),
                format!("コンテキスト `{name}`。登録済み: {have}"),
            ),
            None => (
                format!("no current context; known: {have}"),
                format!("現在のコンテキストが未設定です。登録済み: {have}"),
            ),
        };
        let fix = pick(language, "Name one with --context.", "--context で指定してください。");
        Err(Failure::new(ErrorCode::NotFound, pick(language, en, ja)).remedy(fix))
    }
}

impl Context {
    fn anchor(&mut self, folder: &Path) {
        let paths = [&mut self.identity, &mut self.identity_key].into_iter();
        let roots = self.roots.iter_mut().map(|root| &mut root.file);
        let login = self.login.as_mut().map(|login| &mut login.roots);
        for path in paths.chain(self.signing_key.as_mut()).chain(roots).chain(login) {
            *path = folder.join(&*path);
        }
    }

    /// Who is asked for the addresses of names. This is a person's machine, which sends no state: it may ask as it does for
    /// everything else.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for resolvers that cannot be asked.
    pub fn names(&self) -> Result<Names, Failure> {
        if self.resolvers.is_empty() {
            return Ok(Names::of_host());
        }
        Names::configured(&self.resolvers).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// The members' addresses.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for one that is not `host:port`.
    pub fn addresses(&self) -> Result<Vec<Address>, Failure> {
        let parse = |endpoint: &Endpoint| {
            endpoint
                .address
                .parse()
                .map_err(|error| Failure::invalid(format!("endpoints: {error}")))
        };
        self.endpoints.iter().map(parse).collect()
    }
}

/// Members as endpoints, those of one's own operator first.
#[must_use]
pub fn endpoints_of(members: &[GenesisMember], own: &OperatorId) -> Vec<Endpoint> {
    let mut near: Vec<_> = members.iter().collect();
    near.sort_by_key(|member| member.operator != *own);
    let endpoint = |member: &GenesisMember| Endpoint {
        address: member.address.clone(),
        operator: member.operator.clone(),
        site: member.site.clone(),
    };
    near.into_iter().map(endpoint).collect()
}

/// Writes the roots of each operator to a file of its own under `folder`.
///
/// # Errors
/// `INVALID_ARGUMENT` if one cannot be written.
pub fn roots_of(
    folder: &Path,
    operators: &[OperatorKeys],
    roots: &[BundleRoot],
) -> Result<Vec<Root>, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| of_file(folder, &error))?;
    let mut named = Vec::new();
    for keys in operators {
        let own = roots.iter().filter(|root| root.operator == keys.operator);
        let text: String = own.map(|root| certificate_pem(&root.der.as_slice().into())).collect();
        let path = folder.join(format!("{}.pem", keys.operator));
        part::replace(&path, text.as_bytes())?;
        let (operator, trust_domain) = (keys.operator.clone(), keys.trust_domain.clone());
        named.push(Root { operator, trust_domain, file: path });
    }
    Ok(named)
}

/// Line and column, from 1, of a byte offset; columns count characters.
#[must_use]
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
current = "kanto"
[context.kanto]
cluster = "01010101010101010101010101010101"
operator = "kanto"
identity = "operators/kanto/users/admin/identity.pem"
identity_key = "operators/kanto/users/admin/identity.key"
signing_key = "/keys/sign.key"
dev = true
[[context.kanto.endpoints]]
address = "127.0.0.1:7443"
operator = "kanto"
site = "tokyo-1"
[[context.kanto.roots]]
operator = "kanto"
trust_domain = "kanto.example"
file = "operators/kanto/root.pem"
"#;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("contexts.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_file_is_read_with_paths_relative_to_itself_and_survives_a_round_trip() {
        let (dir, path) = written(FILE);
        let contexts = Contexts::load(&path).unwrap();
        let (name, context) = contexts.pick(None, Language::En).unwrap();
        assert_eq!((name, context.incarnation, context.dev), ("kanto", Incarnation(1), true));
        assert_eq!(context.identity, dir.path().join("operators/kanto/users/admin/identity.pem"));
        assert_eq!(context.signing_key.as_deref(), Some(Path::new("/keys/sign.key")));
        assert_eq!(context.addresses().unwrap()[0].to_string(), "127.0.0.1:7443");
        contexts.save(&path).unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), contexts);
        let asks = FILE.replace("dev = true", "dev = true\nresolvers = [\"10.0.0.53:53\"]");
        let (_dir, path) = written(&asks);
        let contexts = Contexts::load(&path).unwrap();
        let who = |context: &Context| format!("{:?}", context.names().unwrap());
        assert!(who(&contexts.context["kanto"]).contains("configured"));
        let login =
            "\n[context.kanto.login]\nissuer = 'https://id'\nclient_id = 'c'\nroots = 'id.pem'";
        let (folder, with) = written(&format!("{asks}{login}"));
        let login = Contexts::load(&with).unwrap().context["kanto"].login.clone().unwrap();
        assert_eq!((login.scopes.len(), login.roots), (3, folder.path().join("id.pem")));
        let without = Context { resolvers: Vec::new(), ..contexts.context["kanto"].clone() };
        assert!(who(&without).contains("host"));
        contexts.save(&path).unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), contexts);
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_place() {
        let (_dir, path) = written(&FILE.replace("trust_domain", "trust_domian"));
        let failure = Contexts::load(&path).unwrap_err();
        assert!(failure.detail.contains("line 16, column 1"), "{}", failure.detail);
        assert_eq!(failure.code, ErrorCode::InvalidArgument);
        let (_dir, path) = written(&FILE.replace("010101\"", "0101\""));
        assert!(Contexts::load(&path).unwrap_err().detail.contains("line 4"));
    }

    #[test]
    fn an_unknown_context_tells_the_known_ones() {
        let (_dir, path) = written(FILE);
        let mut contexts = Contexts::load(&path).unwrap();
        let failure = contexts.pick(Some("osaka"), Language::En).unwrap_err();
        assert_eq!(failure.detail, "context `osaka`; known: kanto");
        contexts.current = None;
        assert_eq!(contexts.pick(None, Language::En).unwrap().0, "kanto", "the only one");
        contexts.context.clear();
        assert_eq!(contexts.pick(None, Language::Ja).unwrap_err().code, ErrorCode::NotFound);
    }

    #[test]
    fn the_nearest_place_wins() {
        let env = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
        };
        let all: &[(&str, &str)] =
            &[(VARIABLE, "/a"), ("SEKISHO_HOME", "/b"), ("XDG_CONFIG_HOME", "/c"), ("HOME", "/d")];
        let at = |named: Option<&str>, set: &'static [(&str, &str)]| {
            locate(named.map(Path::new), env(set)).unwrap()
        };
        assert_eq!(at(Some("/x"), all), Path::new("/x"));
        assert_eq!(at(None, all), Path::new("/a"));
        assert_eq!(at(None, &all[1..]), Path::new("/b/contexts.toml"));
        assert_eq!(at(None, &all[2..]), Path::new("/c/sekisho/contexts.toml"));
        assert_eq!(at(None, &all[3..]), Path::new("/d/.config/sekisho/contexts.toml"));
        assert_eq!(locate(None, env(&[])), None);
    }
}
