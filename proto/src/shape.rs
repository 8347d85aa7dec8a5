//! What the public interface has to look like, checked over its descriptors: what `buf lint` cannot know.
//!
//! Must hold: whoever has learnt one service of `sekisho.v1` knows the others. Lists have pages and tell their revision; what
//! changes something carries an intent, so that it can be repeated and tried (R3); the zero of an enum means that nobody told;
//! everything is explained; nothing of what our programs say to each other shows.
//! Each exception has its reason here, and one that is not needed any more is a fault too.

use crate::DESCRIPTORS;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is excepted, and why.
type Exceptions = [(&'static str, &'static str)];

/// Fields that mean the same everywhere; they are told once, in `common.proto` or by the proposals for public interfaces.
const SAME_EVERYWHERE: &Exceptions = &[
    ("intent", "told at `Intent`"),
    ("read", "told at `Read`"),
    ("revision", "log index of the state that answers, as in `Written`"),
    ("name", "the resource that is meant, in the form that its own message tells"),
    ("next_page_token", "empty at the end"),
];

const LISTS_WITHOUT_PAGES: &Exceptions = &[
    ("ListRecords", "an append-only log is read by index, and `size` is its revision"),
    ("ListDenials", "a member's own journal is read by index, and `count` is its revision"),
    ("ListForks", "evidence is rare, and whoever looks wants all that this member keeps for good"),
];

const CHANGES_WITHOUT_INTENT: &Exceptions = &[
    ("UploadPayload", "content-addressed, in no log and forgotten unless a job names it"),
    ("TransferLeader", "in no log, and asking twice is asking once"),
    ("ProveNode", "asks for a measurement; what that proves is judged without it"),
    ("AcceptKey", "the issuer's signature stands for it, and asking twice is asking once"),
    ("Login", "the provider's token stands for it, and the same keys make the same login"),
];

/// Methods that change nothing begin so.
const READS: [&str; 10] =
    ["Get", "List", "Plan", "Check", "Explain", "Read", "Watch", "Export", "Save", "Hello"];

const LISTED_WITHOUT_GET: &Exceptions = &[
    ("PolicyStatus", "`ListPolicyStatuses` takes a name"),
    ("Veto", "they are few, and whoever looks for one lists its operator's"),
];

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(DESCRIPTORS).unwrap()
}

/// Violations, and the exceptions that were needed.
#[derive(Debug, Default)]
struct Found {
    wrong: Vec<String>,
    needed: BTreeSet<&'static str>,
}

impl Found {
    fn unless(&mut self, exceptions: &'static Exceptions, name: &str, wrong: String) {
        match exceptions.iter().find(|(excepted, _)| *excepted == name) {
            Some((excepted, _)) => drop(self.needed.insert(*excepted)),
            None => self.wrong.push(wrong),
        }
    }

    fn require(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }
}

/// What lies at a path of numbers in a file, as descriptors count it.
struct Explained(BTreeSet<Vec<i32>>);

impl Explained {
    fn of(file: &FileDescriptorProto) -> Self {
        let places = file.source_code_info.iter().flat_map(|info| &info.location);
        let told = places.filter(|place| !place.leading_comments().trim().is_empty());
        Self(told.map(|place| place.path.clone()).collect())
    }

    fn tells(&self, path: &[i32]) -> bool {
        self.0.contains(path)
    }
}

fn below(path: &[i32], kind: i32, at: usize) -> Vec<i32> {
    let at = i32::try_from(at).unwrap();
    path.iter().copied().chain([kind, at]).collect()
}

fn public(set: &FileDescriptorSet) -> impl Iterator<Item = &FileDescriptorProto> {
    set.file.iter().filter(|file| file.package() == "sekisho.v1")
}

fn methods(set: &FileDescriptorSet) -> impl Iterator<Item = &MethodDescriptorProto> {
    public(set).flat_map(|file| &file.service).flat_map(|service| &service.method)
}

/// Messages of the public interface that are in no other, by full name.
fn messages(set: &FileDescriptorSet) -> BTreeMap<String, &DescriptorProto> {
    let all = public(set).flat_map(|file| &file.message_type);
    all.map(|message| (format!(".sekisho.v1.{}", message.name()), message)).collect()
}

fn has(message: Option<&&DescriptorProto>, field: &str) -> bool {
    message.is_some_and(|message| message.field.iter().any(|has| has.name() == field))
}

fn check_enum(found: &mut Found, told: &Explained, path: &[i32], of: &EnumDescriptorProto) {
    let name = of.name();
    found.require(told.tells(path), || format!("enum {name} is not explained"));
    let zero = of.value.iter().find(|value| value.number() == 0);
    let unspecified = zero.is_some_and(|value| value.name().ends_with("_UNSPECIFIED"));
    found.require(unspecified, || format!("enum {name} has no _UNSPECIFIED = 0"));
    for (at, value) in of.value.iter().enumerate() {
        let told = told.tells(&below(path, 2, at));
        found.require(told, || format!("{name}.{} is not explained", value.name()));
    }
}

fn check_message(found: &mut Found, told: &Explained, path: &[i32], of: &DescriptorProto) {
    let name = of.name();
    // Of what is asked and answered, the method tells what it is for.
    let of_a_method = name.ends_with("Request") || name.ends_with("Response");
    let is_told = of_a_method || of.options.as_ref().is_some_and(|options| options.map_entry());
    found.require(is_told || told.tells(path), || format!("message {name} is not explained"));
    for (at, field) in of.field.iter().enumerate() {
        let of_a_map = of.options.as_ref().is_some_and(|options| options.map_entry());
        if !of_a_map && !told.tells(&below(path, 2, at)) {
            let wrong = format!("field {name}.{} is not explained", field.name());
            found.unless(SAME_EVERYWHERE, field.name(), wrong);
        }
        let internal = field.type_name().starts_with(".sekisho.internal.");
        found.require(!internal, || format!("field {name}.{} is internal", field.name()));
    }
    for (at, nested) in of.nested_type.iter().enumerate() {
        check_message(found, told, &below(path, 3, at), nested);
    }
    for (at, nested) in of.enum_type.iter().enumerate() {
        check_enum(found, told, &below(path, 4, at), nested);
    }
}

/// Everything says what it is; enums begin with the untold; nothing is internal.
fn explained(set: &FileDescriptorSet) -> Found {
    let mut found = Found::default();
    for file in public(set) {
        let told = Explained::of(file);
        let name = file.name();
        let internal = file.dependency.iter().any(|file| file.contains("internal"));
        found.require(!internal, || format!("{name} imports what is internal"));
        for (at, message) in file.message_type.iter().enumerate() {
            check_message(&mut found, &told, &[4, i32::try_from(at).unwrap()], message);
        }
        for (at, of) in file.enum_type.iter().enumerate() {
            check_enum(&mut found, &told, &[5, i32::try_from(at).unwrap()], of);
        }
        for (at, service) in file.service.iter().enumerate() {
            let path = [6, i32::try_from(at).unwrap()];
            let name = service.name();
            found.require(told.tells(&path), || format!("service {name} is not explained"));
            for (at, method) in service.method.iter().enumerate() {
                let told = told.tells(&below(&path, 2, at));
                found.require(told, || format!("{name}.{} is not explained", method.name()));
            }
        }
    }
    found
}

/// Every list has pages and tells its revision.
fn paged(set: &FileDescriptorSet) -> Found {
    let (mut found, messages) = (Found::default(), messages(set));
    for method in methods(set).filter(|method| method.name().starts_with("List")) {
        let (asked, answer) =
            (messages.get(method.input_type()), messages.get(method.output_type()));
        let asks = ["page_size", "page_token"].iter().all(|field| has(asked, field));
        let tells = ["next_page_token", "revision"].iter().all(|field| has(answer, field));
        if !(asks && tells) {
            let wrong = format!("{} has no pages, or tells no revision", method.name());
            found.unless(LISTS_WITHOUT_PAGES, method.name(), wrong);
        }
    }
    found
}

/// Whatever changes something carries an intent.
fn intended(set: &FileDescriptorSet) -> Found {
    let (mut found, messages) = (Found::default(), messages(set));
    for method in methods(set) {
        let name = method.name();
        let reads = READS.iter().any(|verb| name.starts_with(verb))
            && method.output_type() != ".sekisho.v1.Written";
        let asked = messages.get(method.input_type());
        if !reads && !has(asked, "intent") {
            found.unless(CHANGES_WITHOUT_INTENT, name, format!("{name} carries no intent"));
        }
    }
    found
}

/// What is listed by name can be got by name.
fn gettable(set: &FileDescriptorSet) -> Found {
    let (mut found, messages) = (Found::default(), messages(set));
    let gets: BTreeSet<&str> = methods(set).map(MethodDescriptorProto::name).collect();
    for list in methods(set).filter(|method| method.name().starts_with("List")) {
        let answer = messages.get(list.output_type());
        let rows = answer.and_then(|answer| answer.field.first()).map(|field| field.type_name());
        let rows = rows.and_then(|rows| messages.get(rows));
        // What has no name is no resource.
        let Some(row) = rows.filter(|row| has(Some(row), "name") || has(Some(row), "principal"))
        else {
            continue;
        };
        if !gets.contains(format!("Get{}", row.name()).as_str()) {
            found.unless(LISTED_WITHOUT_GET, row.name(), format!("no Get{}", row.name()));
        }
    }
    found
}

type Rule = (fn(&FileDescriptorSet) -> Found, &'static Exceptions);

const RULES: [Rule; 4] = [
    (explained, SAME_EVERYWHERE),
    (paged, LISTS_WITHOUT_PAGES),
    (intended, CHANGES_WITHOUT_INTENT),
    (gettable, LISTED_WITHOUT_GET),
];

/// All that is wrong.
fn wrong(set: &FileDescriptorSet) -> Vec<String> {
    RULES.iter().flat_map(|(rule, _)| rule(set).wrong).collect()
}

#[test]
fn the_public_interface_keeps_its_rules() {
    let set = descriptors();
    assert!(methods(&set).count() > 50, "there is something to look at");
    assert_eq!(wrong(&set), [""; 0]);
}

#[test]
fn no_exception_outlives_its_reason() {
    let set = descriptors();
    for (rule, exceptions) in RULES {
        let all: BTreeSet<&str> = exceptions.iter().map(|(name, _)| *name).collect();
        assert_eq!(rule(&set).needed, all);
    }
}

fn message<'s>(set: &'s mut FileDescriptorSet, name: &str) -> &'s mut DescriptorProto {
    let files = set.file.iter_mut().filter(|file| file.package() == "sekisho.v1");
    let mut all = files.flat_map(|file| &mut file.message_type);
    all.find(|message| message.name() == name).unwrap()
}

/// Otherwise the rules above would be content with anything.
#[test]
fn each_rule_sees_what_breaks_it() {
    let without = |name: &str, field: &str| {
        let mut set = descriptors();
        let fields = &mut message(&mut set, name).field;
        fields.iter_mut().find(|has| has.name() == field).unwrap().name = Some("name".to_owned());
        wrong(&set)
    };
    assert_eq!(without("CreateTenantRequest", "intent"), ["CreateTenant carries no intent"]);
    let unpaged = ["ListNodes has no pages, or tells no revision"];
    assert_eq!(without("ListNodesResponse", "revision"), unpaged);
    let mut set = descriptors();
    message(&mut set, "Contact").enum_type[0].value.retain(|value| value.number() != 0);
    assert_eq!(wrong(&set)[0], "enum State has no _UNSPECIFIED = 0");
    let mut set = descriptors();
    let field = &mut message(&mut set, "Site").field[1];
    field.type_name = Some(".sekisho.internal.v1.Frame".to_owned());
    assert_eq!(wrong(&set), ["field Site.operator is internal"]);
    let mut set = descriptors();
    let service = set.file.iter_mut().flat_map(|file| &mut file.service);
    let sites = service.into_iter().find(|service| service.name() == "SiteService").unwrap();
    sites.method.retain(|method| method.name() != "GetSite");
    assert!(wrong(&set).contains(&"no GetSite".to_owned()));
    let mut set = descriptors();
    let site = set.file.iter_mut().find(|file| file.name() == "sekisho/v1/site.proto").unwrap();
    site.source_code_info = None;
    assert!(wrong(&set).contains(&"message Site is not explained".to_owned()));
}
