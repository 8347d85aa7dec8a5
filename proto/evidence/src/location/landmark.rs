//! Landmarks: hosts of known position that time how long others take to answer.
//!
//! Must hold: an operator counts once however many landmarks it has (D1), so no two landmarks share a key; one table has
//! one hash. A landmark stands where the table of foreign land knows the surroundings, and not on foreign land itself.
//! Does not hold: that a landmark stands where it says. That is its operator's word; [`super::verdict`] wants several.

use super::foreign;
use super::geometry::{Vector, on_sphere};
use super::prefecture;
use crate::canonical::{CanonicalError, encode};
use sekisho_types::id::{Digest, OperatorId, PublicKey};
use sekisho_types::name::{Name, NameError};
use sekisho_types::position::Position;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Landmarks of a federation at most: two in each of the 47 capitals, and as many again for sites far from those.
pub const LANDMARKS_MAX: usize = 256;

/// Largest error of a position that is worth stating, m: with more, a landmark proves next to nothing.
pub const SURVEY_MAX_M: u32 = 10_000;

/// A landmark, written `operator/name`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LandmarkId {
    /// Whose it is.
    pub operator: OperatorId,
    /// Its name, unique within the operator.
    pub name: Name,
}

impl fmt::Display for LandmarkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.operator, self.name))
    }
}

impl fmt::Debug for LandmarkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LandmarkId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (operator, name) = text.split_once('/').ok_or(NameError::Empty)?;
        Ok(Self { operator: operator.parse()?, name: name.parse()? })
    }
}

/// What its operator says of a landmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landmark {
    /// Which.
    pub id: LandmarkId,
    /// Where it stands.
    pub position: Position,
    /// It stands within this of the position, m; at most [`SURVEY_MAX_M`].
    pub survey_m: u32,
    /// What it signs transcripts with.
    pub key: PublicKey,
}

/// Why landmarks make no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LandmarkError {
    /// More than [`LANDMARKS_MAX`].
    #[error("{0} landmarks, at most {LANDMARKS_MAX} are taken")]
    TooMany(usize),
    /// Two of one name, or not in the order of their ids.
    #[error("landmark {0} stands twice or out of order")]
    Order(LandmarkId),
    /// A key that another landmark has: two operators in one hand would count as two.
    #[error("landmark {0} has the key of another one")]
    SharedKey(LandmarkId),
    /// Its position is not known well enough.
    #[error("the position of landmark {0} is known to {1} m, at most {SURVEY_MAX_M} are taken")]
    Survey(LandmarkId, u32),
    /// Abroad, or so far away that the table of foreign land does not reach around it.
    #[error("landmark {0} does not stand in Japan")]
    Abroad(LandmarkId),
}

/// The landmarks of a federation, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Landmark>", into = "Vec<Landmark>")]
pub struct LandmarkTable {
    rows: Vec<Row>,
}

/// A landmark, and what is computed of it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) landmark: Landmark,
    pub(crate) vector: Vector,
    /// Its survey on our sphere, cm.
    pub(crate) survey_cm: u64,
    /// A disc of a smaller radius around the stated position touches no foreign land, cm.
    pub(crate) nearest_cm: u64,
    /// A disc of a larger radius excludes nothing, cm.
    pub(crate) farthest_cm: u64,
}

impl Row {
    fn new(landmark: Landmark) -> Result<Self, LandmarkError> {
        if landmark.survey_m > SURVEY_MAX_M {
            return Err(LandmarkError::Survey(landmark.id, landmark.survey_m));
        }
        let row = Self::unchecked(landmark);
        if row.nearest_cm == 0 {
            return Err(LandmarkError::Abroad(row.landmark.id));
        }
        Ok(row)
    }

    /// A landmark wherever it says that it stands.
    pub(crate) fn unchecked(landmark: Landmark) -> Self {
        let vector = Vector::of(landmark.position);
        let survey_cm = on_sphere(landmark.survey_m).into();
        let land = foreign::table();
        let (nearest_cm, farthest_cm) = (land.nearest_cm(vector), land.farthest_cm(vector));
        Self { landmark, vector, survey_cm, nearest_cm, farthest_cm }
    }
}

impl LandmarkTable {
    /// A table of landmarks in the order of their ids.
    ///
    /// # Errors
    /// The first [`LandmarkError`].
    pub fn new(landmarks: Vec<Landmark>) -> Result<Self, LandmarkError> {
        if landmarks.len() > LANDMARKS_MAX {
            return Err(LandmarkError::TooMany(landmarks.len()));
        }
        let in_pairs = landmarks.iter().zip(landmarks.iter().skip(1));
        if let Some((_, wrong)) = in_pairs.into_iter().find(|(a, b)| a.id >= b.id) {
            return Err(LandmarkError::Order(wrong.id.clone()));
        }
        let mut keys = BTreeSet::new();
        if let Some(wrong) = landmarks.iter().find(|landmark| !keys.insert(landmark.key)) {
            return Err(LandmarkError::SharedKey(wrong.id.clone()));
        }
        let rows = landmarks.into_iter().map(Row::new).collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }

    /// The same table with one more landmark.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(&self, landmark: Landmark) -> Result<Self, LandmarkError> {
        if self.rows.len() >= LANDMARKS_MAX {
            return Err(LandmarkError::TooMany(self.rows.len().saturating_add(1)));
        }
        if self.iter().any(|known| known.key == landmark.key) {
            return Err(LandmarkError::SharedKey(landmark.id));
        }
        let mut rows = self.rows.clone();
        match rows.binary_search_by(|row| row.landmark.id.cmp(&landmark.id)) {
            Ok(_) => return Err(LandmarkError::Order(landmark.id)),
            Err(at) => rows.insert(at, Row::new(landmark)?),
        }
        Ok(Self { rows })
    }

    /// The same table without some landmarks.
    #[must_use]
    pub fn without(&self, gone: impl Fn(&LandmarkId) -> bool) -> Self {
        let rows = self.rows.iter().filter(|row| !gone(&row.landmark.id)).cloned().collect();
        Self { rows }
    }

    /// The landmark of this id.
    #[must_use]
    pub fn get(&self, id: &LandmarkId) -> Option<&Landmark> {
        self.row(id).map(|row| &row.landmark)
    }

    pub(crate) fn row(&self, id: &LandmarkId) -> Option<&Row> {
        let found = self.rows.binary_search_by(|row| row.landmark.id.cmp(id)).ok()?;
        self.rows.get(found)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Landmark> {
        self.rows.iter().map(|row| &row.landmark)
    }

    /// Largest radius at which the disc of a landmark alone touches no foreign land, m; `None` for a stranger.
    #[must_use]
    pub fn nearest_foreign_m(&self, id: &LandmarkId) -> Option<u64> {
        self.row(id).map(|row| row.nearest_cm.saturating_sub(row.survey_cm).div_euclid(100))
    }

    /// What a proof rests on: SHA-256 that commits to this table, and to the foreign and the prefectures' land of this
    /// program. It is in every grant.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn basis(&self) -> Result<Digest, CanonicalError> {
        let land = (foreign::table_hash(), prefecture::table_hash());
        Ok(Digest::of(&encode(&("sekisho/location-basis/v2", land, self.hash()?))?))
    }

    /// SHA-256 of the canonical bytes.
    ///
    /// # Errors
    /// Never for this type; see [`encode`].
    pub fn hash(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of(&encode(self)?))
    }
}

impl TryFrom<Vec<Landmark>> for LandmarkTable {
    type Error = LandmarkError;
    fn try_from(landmarks: Vec<Landmark>) -> Result<Self, LandmarkError> {
        Self::new(landmarks)
    }
}

impl From<LandmarkTable> for Vec<Landmark> {
    fn from(table: LandmarkTable) -> Self {
        table.rows.into_iter().map(|row| row.landmark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::decode;

    fn landmark(id: &str, position: &str, key: u8) -> Landmark {
        Landmark {
            id: id.parse().unwrap(),
            position: position.parse().unwrap(),
            survey_m: 10,
            key: PublicKey([key; 32]),
        }
    }

    #[test]
    fn a_table_has_one_order_one_hash_and_no_key_twice() {
        let tokyo = landmark("kanto/otemachi", "35.686,139.764", 1);
        let osaka = landmark("naniwa/dojima", "34.696,135.493", 2);
        let table = LandmarkTable::new(vec![tokyo.clone(), osaka.clone()]).unwrap();
        assert_eq!(table.get(&osaka.id), Some(&osaka));
        assert_eq!(table.get(&"kanto/inzai".parse().unwrap()), None);
        assert_eq!(table.iter().count(), 2);
        let bytes = encode(&table).unwrap();
        assert_eq!(decode::<LandmarkTable>(&bytes), Ok(table.clone()));
        assert_eq!(table.hash(), Ok(Digest::of(&bytes)));
        let one = LandmarkTable::new(vec![osaka.clone()]).unwrap();
        assert_eq!(one.with(tokyo.clone()), Ok(table.clone()));
        assert_eq!(table.without(|id| *id == tokyo.id), one);
        assert_ne!(one.basis(), table.basis());
        assert_eq!(table.with(tokyo.clone()), Err(LandmarkError::SharedKey(tokyo.id.clone())));
        let twice = Landmark { key: PublicKey([9; 32]), ..tokyo.clone() };
        assert_eq!(table.with(twice), Err(LandmarkError::Order(tokyo.id.clone())));
        let refused = |rows: Vec<Landmark>| {
            decode::<LandmarkTable>(&encode(&rows).unwrap()).unwrap_err();
            LandmarkTable::new(rows).unwrap_err()
        };
        assert_eq!(
            refused(vec![osaka.clone(), tokyo.clone()]),
            LandmarkError::Order(tokyo.id.clone())
        );
        assert_eq!(
            refused(vec![tokyo.clone(), tokyo.clone()]),
            LandmarkError::Order(tokyo.id.clone())
        );
        let same = Landmark { key: tokyo.key, ..osaka.clone() };
        assert_eq!(refused(vec![tokyo, same]), LandmarkError::SharedKey(osaka.id));
        let many: Vec<Landmark> = (0..=LANDMARKS_MAX)
            .map(|n| landmark(&format!("kanto/l-{n:04}"), "35.686,139.764", 1))
            .collect();
        assert_eq!(refused(many), LandmarkError::TooMany(LANDMARKS_MAX + 1));
    }

    #[test]
    fn a_landmark_stands_in_japan_and_knows_where() {
        for abroad in ["37.5665,126.978", "35.1,129.04", "50.0,143.0", "0.0,0.0", "44.0,145.85"] {
            let there = landmark("kanto/x", abroad, 1);
            let refused = LandmarkTable::new(vec![there.clone()]).unwrap_err();
            assert_eq!(refused, LandmarkError::Abroad(there.id), "{abroad}");
        }
        for home in ["45.4157,141.6731", "43.3301,145.5828", "34.2028,129.2876", "24.468,123.0044"]
        {
            assert!(LandmarkTable::new(vec![landmark("kanto/x", home, 1)]).is_ok(), "{home}");
        }
        let vague = Landmark { survey_m: SURVEY_MAX_M + 1, ..landmark("a/b", "35.0,139.0", 1) };
        assert!(matches!(LandmarkTable::new(vec![vague]), Err(LandmarkError::Survey(..))));
    }

    /// Nearest foreign land from a landmark, against the same taken from the polygons. From Ishikari and Fukuoka there is
    /// nearer land, islets that the polygons lack and the table has (docs/location.md).
    #[test]
    fn distances_to_foreign_land_are_those_of_the_polygons_less_a_few_kilometres() {
        let known = [
            ("35.6866,139.7640", 727, "Tokyo"),
            ("34.6937,135.5023", 433, "Osaka"),
            ("35.1815,136.9066", 507, "Nagoya"),
            ("43.1714,141.3156", 301, "Ishikari, 310 by the polygons"),
            ("33.5902,130.4017", 187, "Fukuoka, 202 by the polygons"),
            ("34.3853,132.4553", 301, "Hiroshima"),
            ("26.2124,127.6792", 312, "Naha, 585 without land that several states claim"),
        ];
        let nearest = |position: &str| {
            let one = landmark("kanto/x", position, 1);
            let table = LandmarkTable::new(vec![one.clone()]).unwrap();
            table.nearest_foreign_m(&one.id).unwrap() / 1000
        };
        for (position, km, name) in known {
            let table = nearest(position);
            assert!(table <= km && table + 8 > km, "{name}: {table} km of {km}");
        }
    }
}
