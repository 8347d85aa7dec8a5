//! A change of who takes part, prepared at the operator that asks for it. A new controller's keys are made on the way.

use super::PrepareArgs;
use crate::app::{App, Session};
use crate::ask;
use crate::command::agreement::{held, not_there, propose};
use crate::failure::Failure;
use crate::pki::OperatorDir;
use sekisho_evidence::genesis::{GenesisMember, GenesisSite};
use sekisho_evidence::terms::Terms;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_transport::address::Address;
use sekisho_types::id::SiteId;
use sekisho_types::jurisdiction::Area;

/// A site as the federation knows it.
pub(in crate::command) async fn site(
    app: &App<'_>,
    session: &Session,
    id: &SiteId,
) -> Result<GenesisSite, Failure> {
    let request = v1::GetSiteRequest { name: id.name(), read: app.read() };
    let found = ask!(session.client, site_service_client::SiteServiceClient, get_site, request)?;
    let unreadable = |field: &str| Failure::invalid(format!("the answer has no usable {field}"));
    Ok(GenesisSite {
        site: id.clone(),
        operator: found.operator.parse().map_err(|_name| unreadable("operator"))?,
        area: Area::resolve(&found.area).map_err(|_area| unreadable("area"))?,
        display_name: found.display_name,
    })
}

/// Makes the change, signed by the operator that asks for it.
pub(super) async fn prepare(app: &mut App<'_>, args: PrepareArgs) -> Result<(), Failure> {
    not_there(&args.file)?;
    let dir = OperatorDir::new(&args.operator_dir);
    let session = app.session()?;
    let before = held(app, &session, &dir).await?.bundle;
    let change = match (args.add, args.remove, args.site, args.address) {
        (Some(member), None, Some(at), Some(address)) => {
            let address: Address =
                address.parse().map_err(|e| Failure::invalid(format!("--address: {e}")))?;
            let site = site(app, &session, &at).await?;
            let endorser = dir.add_member(&site, member, &address, app.now())?;
            let terms = Terms::AddMember(GenesisMember {
                member,
                operator: site.operator,
                site: site.site,
                address: address.to_string(),
            });
            let bundle = before.with(endorser, terms.digest());
            (terms, bundle)
        }
        (None, Some(member), _, _) => {
            let terms = Terms::RemoveMember(member);
            let bundle = before.without(member, terms.digest());
            (terms, bundle)
        }
        _ => return Err(Failure::invalid("either --add with --site and --address, or --remove")),
    };
    propose(app, &args.file, &before, &dir, change)
}
