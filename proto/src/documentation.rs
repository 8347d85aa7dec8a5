//! Whether the page for partners says what the descriptors say.

use crate::DESCRIPTORS;
use prost::Message as _;
use prost_types::FileDescriptorSet;

const PAGE: &str = include_str!("../../docs/api.md");

/// Every service of the public API with its methods.
fn services() -> Vec<(String, Vec<String>)> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let public = set.file.iter().filter(|file| file.package() == "sekisho.v1");
    let services = public.flat_map(|file| &file.service);
    let methods = |service: &prost_types::ServiceDescriptorProto| {
        service.method.iter().map(|method| method.name().to_owned()).collect()
    };
    services.map(|service| (service.name().to_owned(), methods(service))).collect()
}

#[test]
fn the_page_names_every_method_with_its_service_and_no_other() {
    let rows = PAGE.lines().filter_map(|line| {
        let mut words = line.split('`').skip(1).step_by(2).map(str::to_owned);
        let service = words.next().filter(|word| word.ends_with("Service"))?;
        line.starts_with("| `").then(|| (service, words.collect::<Vec<String>>()))
    });
    let mut told: Vec<(String, Vec<String>)> = rows.collect();
    let mut known = services();
    for (_, methods) in told.iter_mut().chain(&mut known) {
        methods.sort();
    }
    told.sort();
    known.sort();
    assert_eq!(told, known, "docs/api.md, table of methods");
}
