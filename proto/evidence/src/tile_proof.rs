//! Proofs out of fetched tiles, for whoever follows the log from afar.
//!
//! The caller fetches: a try says which tiles it wants, the caller brings them ([`Tiles::put`]) and tries again. Pure.
//!
//! Must hold: every hash that is used leads to the root of a head that the caller verified, so a member that serves wrong
//! tiles can withhold a proof and not make one; tiles of another length than their path says are not looked at. The
//! library's reader alone does not see to that: where several subtrees of the head stand in one tile, it takes the tiles
//! behind them unchecked (`wrong_tiles_make_no_proof` is red without the checks here). So each proof is run, too.

use crate::merkle::{Head, MerkleError};
use crate::tile::TilePath;
use sekisho_types::id::Digest;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use tlog_tiles::tile::{Tile, TileHashReader, TileReader};
use tlog_tiles::tlog::{self, Hash, HashReader as _};

/// Bytes of a whole tile of hashes.
pub const HASHES_MAX: usize = 256 * 32;

/// Tiles by path.
#[derive(Debug, Clone, Default)]
pub struct Tiles {
    held: BTreeMap<String, Vec<u8>>,
}

/// What a try comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried<T> {
    /// Done.
    Got(T),
    /// These tiles are needed first.
    Wants(BTreeSet<String>),
}

struct Held<'t> {
    tiles: &'t BTreeMap<String, Vec<u8>>,
    wants: RefCell<BTreeSet<String>>,
}

impl TileReader for Held<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let mut found = Vec::with_capacity(tiles.len());
        for tile in tiles {
            let path = TilePath::of(*tile);
            match self.tiles.get(&path) {
                Some(bytes) if length(tile) == Some(bytes.len()) => found.push(bytes.clone()),
                Some(_) => return Err(tlog::Error::InvalidTile),
                None => drop(self.wants.borrow_mut().insert(path)),
            }
        }
        if found.len() == tiles.len() { Ok(found) } else { Err(tlog::Error::InvalidTile) }
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

fn length(tile: &Tile) -> Option<usize> {
    usize::try_from(tile.width()).ok()?.checked_mul(32)
}

impl Tiles {
    /// Takes a tile that was fetched.
    pub fn put(&mut self, path: String, bytes: Vec<u8>) {
        self.held.insert(path, bytes);
    }

    fn attempt<T>(
        &self,
        head: Head,
        prove: impl Fn(&TileHashReader<'_>) -> Result<T, tlog::Error>,
    ) -> Result<Tried<T>, MerkleError> {
        let held = Held { tiles: &self.held, wants: RefCell::new(BTreeSet::new()) };
        let proven = prove(&TileHashReader::new(head.size, Hash(head.root.0), &held));
        let wants = held.wants.into_inner();
        match proven {
            Ok(proven) => Ok(Tried::Got(proven)),
            Err(_lacks) if !wants.is_empty() => Ok(Tried::Wants(wants)),
            Err(_wrong) => Err(MerkleError::BadProof),
        }
    }

    /// The inclusion path of record `index` under `head`.
    ///
    /// # Errors
    /// [`MerkleError::Range`] beyond it; [`MerkleError::BadProof`] if the tiles are not those of the head.
    pub fn inclusion(&self, head: Head, index: u64) -> Result<Tried<Vec<Digest>>, MerkleError> {
        if index >= head.size {
            return Err(MerkleError::Range { size: head.size, asked: index });
        }
        self.attempt(head, |hashes| {
            let proof = tlog::prove_record(head.size, index, hashes)?;
            let leaf = hashes.read_hashes(&[tlog::stored_hash_index(0, index)])?;
            let leaf = *leaf.first().ok_or(tlog::Error::InvalidTile)?;
            tlog::check_record(&proof, head.size, Hash(head.root.0), index, leaf)?;
            Ok(proof.iter().map(|hash| Digest(hash.0)).collect())
        })
    }

    /// The head that the log of `head` had at `size`, and the proof of it.
    ///
    /// # Errors
    /// As [`Tiles::inclusion`].
    pub fn at(&self, head: Head, size: u64) -> Result<Tried<(Head, Vec<Digest>)>, MerkleError> {
        if size > head.size {
            return Err(MerkleError::Range { size: head.size, asked: size });
        }
        if size == head.size {
            return Ok(Tried::Got((head, Vec::new())));
        }
        if size == 0 {
            return Ok(Tried::Got((Head { size, root: Digest::of(&[]) }, Vec::new())));
        }
        self.attempt(head, |hashes| {
            let root = tlog::tree_hash(size, hashes)?;
            let proof = tlog::prove_tree(head.size, size, hashes)?;
            tlog::check_tree(&proof, head.size, Hash(head.root.0), size, root)?;
            let root = Digest(root.0);
            Ok((Head { size, root }, proof.iter().map(|hash| Digest(hash.0)).collect()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Tree, check_consistency, check_inclusion, leaf};

    fn tree() -> Tree {
        let mut tree = Tree::default();
        (0..700u16).for_each(|i| tree.push(leaf(&i.to_be_bytes())).unwrap());
        tree
    }

    fn bring<T>(
        tree: &Tree,
        tried: impl Fn(&Tiles) -> Result<Tried<T>, MerkleError>,
    ) -> (T, Tiles) {
        let mut tiles = Tiles::default();
        loop {
            match tried(&tiles).unwrap() {
                Tried::Got(got) => return (got, tiles),
                Tried::Wants(wants) => {
                    for path in wants {
                        let bytes = TilePath::parse(&path).unwrap().hashes(tree).unwrap();
                        tiles.put(path, bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn records_and_earlier_heads_are_proven_out_of_tiles() {
        let tree = tree();
        let head = tree.head().unwrap();
        for index in [0u16, 255, 256, 511, 699] {
            let (path, _) = bring(&tree, |tiles| tiles.inclusion(head, index.into()));
            let record = index.to_be_bytes();
            check_inclusion(head.size, &head.root, index.into(), &record, &path).unwrap();
        }
        for size in [0, 1, 255, 256, 600, 700] {
            let ((then, proof), _) = bring(&tree, |tiles| tiles.at(head, size));
            assert_eq!(then, tree.head_at(size).unwrap());
            check_consistency(head, then, &proof).unwrap();
        }
        let beyond = Tiles::default().inclusion(head, 700);
        assert_eq!(beyond, Err(MerkleError::Range { size: 700, asked: 700 }));
    }

    #[test]
    fn wrong_tiles_make_no_proof() {
        let tree = tree();
        let head = tree.head().unwrap();
        let (_, good) = bring(&tree, |tiles| tiles.at(head, 300));
        for path in good.held.keys() {
            for change in [0, 1] {
                let mut bad = good.clone();
                let bytes = bad.held.get_mut(path).unwrap();
                if change == 0 {
                    bytes[0] ^= 1;
                } else {
                    bytes.truncate(bytes.len() - 1);
                }
                assert_eq!(bad.at(head, 300), Err(MerkleError::BadProof), "{path}");
            }
        }
    }
}
