//! `sekisho residency map`: sites by how well they are proven, landmarks, and what these measured of one node, as a picture.
//!
//! Must hold: the same answers give the same bytes; nothing is drawn or named of land that more than one state claims.
//! Does not draw: other formats than SVG, which every browser shows and office programs take.

mod draw;
mod label;
mod outline;
mod panel;
mod svg;

use super::prove::fetch;
use super::standing::{Extent, Standing};
use super::status::is_in;
use crate::app::App;
use crate::command::list::ListArgs;
use crate::command::node::location::LocationView;
use crate::command::{landmark, node, site};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use draw::{Disc, Mark, Picture, Spot};
use sekisho_evidence::location::coverage::capitals;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_transport::part;
use sekisho_types::id::{NodeId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::position::Position;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What to draw.
#[derive(Debug, clap::Args)]
pub struct MapArgs {
    /// File to write, ending in .svg; one of before is replaced
    file: PathBuf,
    /// SITE/NODE whose last fix is drawn: a disc for each landmark that measured it
    #[arg(long)]
    node: Option<NodeId>,
    /// Width of the picture, pixels
    #[arg(long, value_name = "PX", default_value_t = 900, value_parser = clap::value_parser!(u32).range(400..=4000))]
    width: u32,
}

fn check_ending(path: &Path, output: &Output<'_>) -> Result<(), Failure> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if ending.eq_ignore_ascii_case("svg") {
        return Ok(());
    }
    let why = output.pick(
        format!("{}: only .svg is written", path.display()),
        format!("{}: 書き出せるのは .svg だけです", path.display()),
    );
    let fix = output.pick(
        "Write an .svg; a browser prints it, and `rsvg-convert` or Inkscape makes a PNG of it.",
        ".svg で書き出してください。ブラウザで印刷でき、PNG には `rsvg-convert` や Inkscape で変換できます。",
    );
    Err(Failure::invalid(why).remedy(fix))
}

/// Where an area is drawn: at its office, a prefecture at its capital's.
fn place(area: &str) -> Option<Position> {
    let area = Area::resolve(area).ok()?;
    let own = area.info().and_then(|info| info.office);
    let of_prefecture = || {
        let prefecture = area.prefecture()?;
        let all = capitals();
        let found = all.into_iter().find(|(capital, _)| capital.prefecture() == Some(prefecture));
        found.map(|(_, office)| office)
    };
    own.or_else(of_prefecture)
}

/// Sites with the worst of their nodes, and the names of those that stand nowhere.
fn spots(sites: &[v1::Site], nodes: &[v1::Node]) -> (Vec<Spot>, Vec<String>) {
    let mut worst: BTreeMap<SiteId, (Standing, bool)> = BTreeMap::new();
    for node in nodes.iter().filter(|node| is_in(node)) {
        let Some(id) = NodeId::from_name(&node.name) else { continue };
        let seen = node.location.clone().map(LocationView::from);
        let standing = Standing::of(&node.country_tier, seen.as_ref());
        let is_proven = standing.extent() == Some(Extent::Site);
        let (known, all_proven) = worst.entry(id.site).or_insert((standing, is_proven));
        (*known, *all_proven) = (standing.min(*known), is_proven && *all_proven);
    }
    let (mut drawn, mut left_out) = (Vec::new(), Vec::new());
    for site in sites.iter().filter(|site| !site.revoked) {
        let Some(id) = SiteId::from_name(&site.name) else { continue };
        let known = worst.get(&id).copied();
        let mark = Mark::of(known.map(|(worst, _)| worst));
        let is_proven = known.is_some_and(|(_, all_proven)| all_proven);
        match place(&site.area) {
            Some(at) => drawn.push(Spot { name: id.to_string(), at, mark, is_proven }),
            None => left_out.push(id.to_string()),
        }
    }
    (drawn, left_out)
}

fn landmark_of(landmark: &v1::Landmark) -> Option<(String, Position)> {
    let id = LandmarkId::from_name(&landmark.name)?;
    Some((id.to_string(), landmark.position.parse().ok()?))
}

pub(super) async fn run(app: &mut App<'_>, args: MapArgs) -> Result<Exit, Failure> {
    check_ending(&args.file, &app.output)?;
    let session = app.session()?;
    let (sites, _) = site::all(app, &session, &ListArgs::default()).await?;
    let (nodes, _) = node::all(app, &session, None, &ListArgs::default()).await?;
    let landmarks = landmark::all(app, &session, None, &ListArgs::default()).await?.landmarks;
    let (spots, left_out) = spots(&sites, &nodes);
    let discs = match &args.node {
        None => Vec::new(),
        Some(node) => {
            let discs = fetch(&session, node).await?.view.discs;
            discs.iter().filter_map(Disc::of).collect()
        }
    };
    let picture = Picture {
        language: app.output.language,
        width: args.width,
        node: args.node.as_ref().map(NodeId::to_string),
        spots,
        landmarks: landmarks.iter().filter_map(landmark_of).collect(),
        discs,
    };
    let text = draw::svg(&picture);
    part::replace(&args.file, text.as_bytes())?;
    if !left_out.is_empty() {
        let who = left_out.join(", ");
        let note = app.output.pick(
            format!("not drawn, their areas have no office: {who}"),
            format!("役所の位置がない地域のため描画していません: {who}"),
        );
        app.output.note(&note)?;
    }
    app.output.written(&args.file, text.len(), "sekisho residency status")?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_svg_is_written_and_a_png_gets_a_hint() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let output = Output::new(&mut out, &mut err);
        for good in ["map.svg", "a/b.SVG"] {
            check_ending(Path::new(good), &output).unwrap();
        }
        for bad in ["map.png", "map", "svg"] {
            let refused = check_ending(Path::new(bad), &output).unwrap_err();
            assert_eq!(refused.exit(), Exit::Usage);
            assert!(refused.remedy.unwrap().contains("PNG"), "{bad}");
        }
    }

    #[test]
    fn a_site_stands_at_its_office_and_is_as_good_as_its_worst_node() {
        let site = |name: &str, area: &str, revoked| v1::Site {
            name: format!("sites/{name}"),
            area: area.into(),
            revoked,
            ..Default::default()
        };
        let node = |name: &str, tier: &str, f| v1::Node {
            name: name.into(),
            country_tier: tier.into(),
            location: Some(v1::Location { tier: tier.into(), f, ..Default::default() }),
            ..Default::default()
        };
        let sites = [
            site("tokyo-1", "131016", false),
            site("sapporo-1", "JP-01", false),
            site("ishikari-1", "012351", false),
            site("sakai-1", "271403", false),
            site("nowhere", "JP", false),
            site("gone", "131016", true),
        ];
        let nodes = [
            node("sites/tokyo-1/nodes/a", "T2", 1),
            node("sites/tokyo-1/nodes/b", "T2", 0),
            node("sites/ishikari-1/nodes/a", "T3", 1),
            // The worse of both is at T3, and not all are.
            node("sites/sakai-1/nodes/a", "T3", 0),
            node("sites/sakai-1/nodes/b", "T2", 1),
        ];
        let (drawn, left_out) = spots(&sites, &nodes);
        let marks: Vec<_> =
            drawn.iter().map(|spot| (spot.name.as_str(), spot.mark, spot.is_proven)).collect();
        assert_eq!(
            marks,
            [
                ("tokyo-1", Mark::Alone, false),
                ("sapporo-1", Mark::Empty, false),
                ("ishikari-1", Mark::Proven, true),
                ("sakai-1", Mark::Alone, false),
            ]
        );
        assert!(drawn[1].at.latitude() > 43_000_000, "{:?}", drawn[1]);
        assert_eq!(left_out, ["nowhere"]);
    }
}
