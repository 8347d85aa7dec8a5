//! From what a token claims to a name and a role, by the operator's rules.
//!
//! Must hold: unknown is refused. The first rule that fits decides; a name is taken as the provider gives it or not at all,
//! because two spellings of one name would be two people, and two people of one spelling one. An address is a name only if
//! the provider has verified it.

use crate::config::LoginConfig;
use sekisho_api::login::LoginError;
use sekisho_proto::convert::key::parse_role;
use sekisho_types::name::Name;
use sekisho_types::principal::Role;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The claim with an address (OpenID Connect Core 1.0, section 5.1). At many providers people write there what they like.
const EMAIL: &str = "email";

/// That the provider has seen to it that the address is theirs. A text is not the truth that the standard means.
const EMAIL_VERIFIED: &str = "email_verified";

/// Whoever has this value in this claim gets this role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the claim; its value is a text or a list of texts.
    pub claim: String,
    /// The text.
    pub value: String,
    /// As in `sekisho key register`.
    #[serde(deserialize_with = "role_of")]
    pub role: Role,
}

fn role_of<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
    let text = String::deserialize(from)?;
    let bad = || D::Error::custom(format!("`{text}` is no role"));
    let role = parse_role(&text).ok_or_else(bad)?;
    if role.for_login().is_some() {
        Ok(role)
    } else {
        Err(D::Error::custom(format!("no login gives {role}")))
    }
}

impl Rule {
    fn fits(&self, claims: &Map<String, Value>) -> bool {
        match claims.get(&self.claim) {
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Array(texts)) => {
                texts.iter().any(|text| text.as_str() == Some(self.value.as_str()))
            }
            _ => false,
        }
    }
}

/// The role of the first rule that fits.
pub(super) fn role(rules: &[Rule], claims: &Map<String, Value>) -> Result<Role, LoginError> {
    let none = || LoginError::NoRole("no rule fits what the provider says of you".to_owned());
    rules.iter().find(|rule| rule.fits(claims)).map(|rule| rule.role.clone()).ok_or_else(none)
}

/// The login name.
pub(super) fn name(config: &LoginConfig, claims: &Map<String, Value>) -> Result<Name, LoginError> {
    let (claim, suffix) = (&config.name_claim, config.name_suffix.as_deref().unwrap_or_default());
    let none = |why: String| LoginError::NoRole(format!("claim {claim}: {why}"));
    let text = claims.get(claim).and_then(Value::as_str);
    let text = text.ok_or_else(|| none("the token has no such text".to_owned()))?;
    if claim == EMAIL && claims.get(EMAIL_VERIFIED) != Some(&Value::Bool(true)) {
        return Err(none(format!("the provider does not say `{EMAIL_VERIFIED}`: true")));
    }
    let bare = text.strip_suffix(suffix);
    let bare = bare.ok_or_else(|| none(format!("it does not end with `{suffix}`")))?;
    bare.parse().map_err(|error| none(format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = "issuer = 'https://id.kanto.example'\nclient_id = 'sekisho'\n\
        registrar_dir = 'r'\njwks_file = 'j'\n\
        rule = [{ claim = 'groups', value = 'ops', role = 'monitor' },\n\
        { claim = 'groups', value = 'gpu', role = 'tenant-user:sapporo' },\n\
        { claim = 'department', value = 'audit', role = 'auditor' }]";

    fn config(more: &str) -> LoginConfig {
        toml::from_str(&format!("{more}\n{SETTINGS}")).unwrap()
    }

    fn claims(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_without_one_nobody_comes_in() {
        let rules = config("").rule;
        let given = |text: &str| role(&rules, &claims(text)).ok().map(|role| role.to_string());
        let is = |role: &str| Some(role.to_owned());
        assert_eq!(given(r#"{"groups":["a","gpu"]}"#), is("tenant-user:sapporo"));
        assert_eq!(given(r#"{"groups":["gpu","ops"]}"#), is("monitor"));
        assert_eq!(given(r#"{"groups":"gpu","department":"audit"}"#), is("tenant-user:sapporo"));
        assert_eq!(given(r#"{"department":"audit"}"#), is("auditor"));
        for none in [
            "{}",
            r#"{"groups":[]}"#,
            r#"{"groups":["GPU","gpu "]}"#,
            r#"{"groups":{"gpu":true}}"#,
            r#"{"groups":[["gpu"]]}"#,
            r#"{"groups":null,"department":1}"#,
        ] {
            assert_eq!(given(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_is_one_of_ours_as_it_stands() {
        let plain = config("");
        let named = |config: &LoginConfig, text: &str| {
            name(config, &claims(text)).ok().map(|name| name.to_string())
        };
        assert_eq!(named(&plain, r#"{"preferred_username":"alice"}"#).as_deref(), Some("alice"));
        for bad in ["Alice", "alice@kanto.example", "", "a/b", "../admin", "alice "] {
            let text = serde_json::json!({ "preferred_username": bad }).to_string();
            assert_eq!(named(&plain, &text), None, "{bad}");
        }
        assert_eq!(named(&plain, r#"{"preferred_username":["alice"],"sub":"alice"}"#), None);
        let mail = config("name_claim = 'email'\nname_suffix = '@kanto.example'");
        let address = |text: &str, verified: Value| {
            let text = serde_json::json!({ "email": text, "email_verified": verified }).to_string();
            named(&mail, &text)
        };
        let alice = "alice@kanto.example";
        assert_eq!(address(alice, Value::Bool(true)).as_deref(), Some("alice"));
        for bad in ["alice", "alice@naniwa.example", "alice@kanto.example.evil"] {
            assert_eq!(address(bad, Value::Bool(true)), None, "{bad}");
        }
        // Whoever may write an address of somebody else is not that one.
        for unverified in [Value::Bool(false), Value::Null, "true".into(), 1.into()] {
            assert_eq!(address(alice, unverified.clone()), None, "{unverified}");
        }
        assert_eq!(named(&mail, r#"{"email":"alice@kanto.example"}"#), None);
    }

    #[test]
    fn settings_say_no_role_that_no_login_gives() {
        for bad in ["federation-admin", "member", "agent", "registrar:monitor", "root", ""] {
            let text = SETTINGS.replace("'monitor'", &format!("'{bad}'"));
            toml::from_str::<LoginConfig>(&text).unwrap_err();
        }
        let misspelt = SETTINGS.replace("client_id", "client");
        toml::from_str::<LoginConfig>(&misspelt).unwrap_err();
    }
}
