//! Settings of a controller: one TOML file, unknown keys refused, checked once.

use crate::login::Rule;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_raft::config::Timing;
use sekisho_transport::address::Address;
use sekisho_transport::https::Url;
use sekisho_transport::names::{Names, ResolversError};
use sekisho_transport::ranging::exchange::{Via, read_via};
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::limit::LOGIN_LIFETIME_MAX;
use sekisho_types::name::Name;
use sekisho_types::principal::MemberIdentity;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Raft id; never reused.
    pub member: u64,
    /// Whose controller.
    pub operator: OperatorId,
    /// Where it stands.
    pub site: SiteId,
    /// Directory of its own: log, state, marker.
    pub data_dir: PathBuf,
    /// Where it listens; one port for everything.
    pub listen: SocketAddr,
    /// The signed genesis.
    pub genesis: PathBuf,
    /// Holds `identity.pem` and `identity.key`.
    pub identity_dir: PathBuf,
    /// The trust package that a new member of a federation under way begins with: `sekisho member package`.
    #[serde(default)]
    pub package: Option<PathBuf>,
    /// The operator's issuer at this site; without it no node can join here.
    #[serde(default)]
    pub issuer_dir: Option<PathBuf>,
    /// The operator's site-tag key; without it no node can join here.
    #[serde(default)]
    pub site_tag_key: Option<PathBuf>,
    /// This member's checkpoint key. If the file is missing the member signs nothing, and says so.
    #[serde(default)]
    pub checkpoint_key: Option<PathBuf>,
    /// Who is asked for the addresses of members that the state names by name; without, such names are refused.
    #[serde(default)]
    pub resolvers: Vec<SocketAddr>,
    /// Heartbeat and election times; the same on every member.
    #[serde(default)]
    pub timing: TimingProfile,
    /// Filter of the log, as `RUST_LOG`.
    #[serde(default = "log_default")]
    pub log: String,
    /// Where metrics are read; without it nowhere.
    #[serde(default)]
    pub metrics: Option<MetricsConfig>,
    /// Landmarks of the operator that this program serves; mostly one, where the controller stands.
    #[serde(default)]
    pub landmark: Vec<LandmarkConfig>,
    /// Lets people of the operator in by its identity provider; without it this member takes no logins.
    #[serde(default)]
    pub login: Option<LoginConfig>,
}

/// How people of the operator log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// The identity provider, letter by letter as its tokens name it.
    pub issuer: String,
    /// As which the command line is registered there.
    pub client_id: String,
    /// Holds the registrar's key, its record, and the issuer for people: `sekisho pki registrar`.
    pub registrar_dir: PathBuf,
    /// The provider's public keys (JWKS). Either this, or where they are fetched.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Where the provider's public keys are fetched: `https://…`.
    #[serde(default, deserialize_with = "url")]
    pub jwks_url: Option<Url>,
    /// PEM file: the roots under which it proves itself there. The machine's own are not used.
    #[serde(default)]
    pub roots: Option<PathBuf>,
    /// The claim that is the login name.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// What the claim ends with and the name does not, such as `@kanto.example`.
    #[serde(default)]
    pub name_suffix: Option<String>,
    /// How long a login is good, hours.
    #[serde(default = "login_hours")]
    pub hours: u64,
    /// Who gets which role; the first that fits decides.
    pub rule: Vec<Rule>,
}

fn name_claim() -> String {
    "preferred_username".to_owned()
}

/// As long as it may be: a working day.
fn login_hours() -> u64 {
    LOGIN_LIFETIME_MAX.as_secs() / 3600
}

fn url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

/// A landmark. Where it stands is not said here: its operator registers that, with the public half of the key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandmarkConfig {
    /// Its name, unique within the operator.
    pub name: Name,
    /// Where nodes dial it: mutual TLS, a port of its own.
    pub listen: SocketAddr,
    /// Where it hears datagrams.
    pub datagrams: SocketAddr,
    /// The key that it signs transcripts with.
    pub key: PathBuf,
    /// Where something forwards datagrams to another landmark: its `operator/name` and the address in place of the
    /// registered one.
    #[serde(default, deserialize_with = "via")]
    pub via: Via,
}

fn via<'de, D: Deserializer<'de>>(from: D) -> Result<Via, D::Error> {
    read_via(&BTreeMap::deserialize(from)?).map_err(D::Error::custom)
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Address>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let read = |text: &String| {
        let parsed = text.parse::<Address>();
        parsed.map_err(|error| D::Error::custom(format!("{text}: {error}")))
    };
    texts.iter().map(read).collect()
}

/// The file of a landmark that runs apart from a controller.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LandmarkAlone {
    /// Whose landmark.
    pub operator: OperatorId,
    /// Controllers of its operator, `host:port`: they say who is enrolled, and take what it measured.
    #[serde(deserialize_with = "addresses")]
    pub members: Vec<Address>,
    /// The signed genesis.
    pub genesis: PathBuf,
    /// The trust package that it begins with, where roots changed since the genesis: `sekisho member package`.
    #[serde(default)]
    pub package: Option<PathBuf>,
    /// Holds `identity.pem` and `identity.key`.
    pub identity_dir: PathBuf,
    /// Who is asked for the addresses of members and landmarks that are named by name; without, such names are refused.
    #[serde(default)]
    pub resolvers: Vec<SocketAddr>,
    /// Filter of the log, as `RUST_LOG`.
    #[serde(default = "log_default")]
    pub log: String,
    /// The landmark.
    pub landmark: LandmarkConfig,
}

/// Named heartbeat and election times: single numbers would be set differently on two members one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimingProfile {
    /// Sites up to 25 ms apart.
    #[default]
    Wan,
    /// One campus.
    Lan,
}

impl TimingProfile {
    /// The times that it stands for.
    #[must_use]
    pub const fn timing(self) -> Timing {
        match self {
            Self::Wan => Timing::WAN,
            Self::Lan => Timing::LAN,
        }
    }
}

/// Who may read is decided by applied state: roles monitor, operator-admin, federation-admin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Mutual TLS, HTTP/1.1, `GET /metrics`; a port of its own.
    pub listen: SocketAddr,
}

/// openraft tells at INFO what it sends; what it decides shows in our own lines.
fn log_default() -> String {
    "info,openraft=warn".to_owned()
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong form; names line and column.
    #[error("{path}: {source}")]
    Form {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A name, and nobody to ask for its address.
    #[error(
        "{path}: `{address}` is a name and `resolvers` is empty: write an address, or set `resolvers`"
    )]
    Name {
        /// Which file.
        path: PathBuf,
        /// The name.
        address: Address,
    },
    /// Resolvers that cannot be asked.
    #[error("{path}: {source}")]
    Resolvers {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: ResolversError,
    },
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|source| ConfigError::Form { path: path.to_owned(), source: Box::new(source) })
}

/// Refuses names that nobody could be asked for.
fn check_names(
    path: &Path,
    resolvers: &[SocketAddr],
    addresses: &[&Address],
) -> Result<(), ConfigError> {
    let names = Names::configured(resolvers)
        .map_err(|source| ConfigError::Resolvers { path: path.to_owned(), source })?;
    match names.unknown(addresses.iter().copied()) {
        Some(address) => Err(ConfigError::Name { path: path.to_owned(), address: address.clone() }),
        None => Ok(()),
    }
}

impl LandmarkAlone {
    /// Reads a file, as [`Config::load`].
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = load(path)?;
        let addresses: Vec<_> = config.members.iter().chain(config.landmark.via.values()).collect();
        check_names(path, &config.resolvers, &addresses)?;
        Ok(config)
    }

    /// Who is asked for the addresses of names.
    ///
    /// # Errors
    /// [`ResolversError`]; not of settings that were loaded.
    pub fn names(&self) -> Result<Names, ResolversError> {
        Names::configured(&self.resolvers)
    }

    /// Which landmark.
    #[must_use]
    pub fn id(&self) -> LandmarkId {
        LandmarkId { operator: self.operator.clone(), name: self.landmark.name.clone() }
    }
}

impl Config {
    /// Reads a file. Relative paths in it are relative to the working directory.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = load(path)?;
        let ways = config.landmark.iter().flat_map(|mark| mark.via.values());
        let provider = config.login.iter().filter_map(|login| login.jwks_url.as_ref());
        let ways: Vec<_> = ways.chain(provider.map(Url::address)).collect();
        check_names(path, &config.resolvers, &ways)?;
        Ok(config)
    }

    /// Who is asked for the addresses of names.
    ///
    /// # Errors
    /// [`ResolversError`]; not of settings that were loaded.
    pub fn names(&self) -> Result<Names, ResolversError> {
        Names::configured(&self.resolvers)
    }

    /// The Raft id.
    #[must_use]
    pub fn member(&self) -> MemberId {
        MemberId(self.member)
    }

    /// Which member this is.
    #[must_use]
    pub fn identity(&self) -> MemberIdentity {
        let (operator, site) = (self.operator.clone(), self.site.clone());
        MemberIdentity { member: self.member(), operator, site }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        member = 1
        operator = "kanto"
        site = "tokyo-1"
        data_dir = "data"
        listen = "127.0.0.1:7101"
        genesis = "genesis.bin"
        identity_dir = "identity"
    "#;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn a_landmark_alone_names_its_controllers_and_nothing_of_a_member() {
        let good = "operator = 'kanto'\nmembers = ['c1.kanto.example:7101']\ngenesis = 'g'\n\
                    resolvers = ['192.0.2.53:53']\nidentity_dir = 'i'\n[landmark]\nname = 'otemachi'\n\
                    listen = '127.0.0.1:7120'\ndatagrams = '127.0.0.1:7120'\nkey = 'k'\n\
                    via = { 'naniwa/dojima' = '127.0.0.1:9' }";
        let load = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("landmark.toml");
            std::fs::write(&path, text).unwrap();
            LandmarkAlone::load(&path)
        };
        let alone = load(good).unwrap();
        assert_eq!((alone.id().to_string(), alone.members.len()), ("kanto/otemachi".into(), 1));
        let via = &alone.landmark.via[&"naniwa/dojima".parse().unwrap()];
        assert_eq!(via.to_string(), "127.0.0.1:9");
        for (bad, names) in [
            (format!("data_dir = 'd'\n{good}"), "data_dir"),
            (good.replace("7101", ""), "members"),
            (good.replace("naniwa/dojima", "dojima"), "dojima"),
            (good.replace("'127.0.0.1:9'", "'nowhere'"), "nowhere"),
            (good.replace("'192.0.2.53:53'", ""), "c1.kanto.example"),
            (good.replace("192.0.2.53:53", "dns.example:53"), "dns.example"),
        ] {
            let error = load(&bad).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }

    #[test]
    fn what_is_left_out_is_off_and_what_is_unknown_is_refused() {
        let config = load(GOOD).unwrap();
        assert_eq!((config.member(), config.log.as_str()), (MemberId(1), "info,openraft=warn"));
        assert!(config.checkpoint_key.is_none() && config.metrics.is_none());
        let measured = load(&format!("{GOOD}\n[metrics]\nlisten = \"127.0.0.1:7108\"")).unwrap();
        assert_eq!(measured.metrics.unwrap().listen.port(), 7108);
        assert_eq!(config.timing, TimingProfile::Wan);
        assert!(config.landmark.is_empty());
        let beacon = "[[landmark]]\nname = \"otemachi\"\nlisten = \"127.0.0.1:7120\"\n\
                      datagrams = \"127.0.0.1:7121\"\nkey = \"landmark.key\"";
        let login = "[login]\nissuer = 'i'\nclient_id = 'c'\nregistrar_dir = 'r'\nroots = 'p'\n\
                     jwks_url = 'https://id.kanto.example/keys'\nrule = []";
        let asked = load(&format!("resolvers = ['10.0.0.53:53']\n{GOOD}\n{login}")).unwrap();
        let asked = asked.login.unwrap();
        assert_eq!((asked.hours, asked.name_claim.as_str()), (12, "preferred_username"));
        let two = load(&format!("{GOOD}\n{beacon}\n{}", beacon.replace("otemachi", "inzai")));
        assert_eq!(two.unwrap().landmark[1].name.as_str(), "inzai");
        assert!(config.names().unwrap().is_nobody());
        let asks = load(&format!("resolvers = [\"10.0.0.53:53\"]\n{GOOD}")).unwrap();
        assert!(!asks.names().unwrap().is_nobody());
        let campus = load(&format!("timing = \"lan\"\n{GOOD}")).unwrap();
        assert_eq!(campus.timing.timing(), Timing::LAN);
        for (bad, names) in [
            (format!("timing = \"fast\"\n{GOOD}"), "fast"),
            (format!("resolvers = [\"dns.kanto.example:53\"]\n{GOOD}"), "socket address"),
            (format!("resolvers = [\"10.0.0.53\"]\n{GOOD}"), "socket address"),
            (format!("resolvers = [\"0.0.0.0:53\"]\n{GOOD}"), "0.0.0.0:53"),
            (format!("resolvers = [{}]\n{GOOD}", "\"10.0.0.53:53\",".repeat(4)), "at most 3"),
            (GOOD.replace("site =", "sight ="), "sight"),
            (GOOD.replace("\"tokyo-1\"", "\"Tokyo\""), "Tokyo"),
            (format!("{GOOD}\n[metrics]\nlisten = \"127.0.0.1:1\"\nplaintext = true"), "plaintext"),
            (GOOD.replace("127.0.0.1:7101", "nowhere"), "listen"),
            (format!("{GOOD}\n{login}"), "id.kanto.example:443"),
            (format!("{GOOD}\n{}", login.replace("https", "http")), "https://HOST"),
            (format!("{GOOD}\n{}", login.replace("client_id", "client")), "client"),
            (format!("{GOOD}\n{beacon}\nposition = \"35.6,139.7\""), "position"),
        ] {
            let error = load(&bad).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }
}
