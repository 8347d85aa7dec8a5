//! The one suite: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305.
//!
//! Must hold: randomness comes in as an argument, one seed for one encapsulation. Knows keys and bytes; what they are
//! for stands in `info`, which the callers make.

use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use hpke::aead::{AeadTag, ChaCha20Poly1305 as Aead};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{CryptoRng, RngCore};
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use sekisho_types::id::Digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes of an authentication tag.
pub(super) const TAG: usize = 16;

type PrivateKey = <X25519HkdfSha256 as hpke::Kem>::PrivateKey;
type EncappedKey = <X25519HkdfSha256 as hpke::Kem>::EncappedKey;

/// 32 bytes that nobody but the holders may know; wiped when dropped.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// A secret of 32 bytes, sealed to one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wrapped {
    /// The sender's key for this one time.
    encapsulated: [u8; 32],
    ciphertext: [u8; 32],
    tag: [u8; TAG],
}

/// It does not open, or cannot be sealed: RFC 9180 tells no more, and no more may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

/// The key pair that a seed stands for (RFC 9180, `DeriveKeyPair`).
pub(super) fn key_pair(seed: &[u8; 32]) -> (Secret, [u8; 32]) {
    let (private, public) = X25519HkdfSha256::derive_keypair(seed);
    let mut secret = Secret::default();
    private.write_exact(secret.as_mut_slice());
    (secret, public.to_bytes().into())
}

fn private(secret: &Secret) -> Result<PrivateKey, Failed> {
    PrivateKey::from_bytes(secret.as_slice()).map_err(|_length| Failed)
}

/// The public half of a secret key.
pub(super) fn public(secret: &Secret) -> Result<[u8; 32], Failed> {
    Ok(X25519HkdfSha256::sk_to_pk(&private(secret)?).to_bytes().into())
}

/// Seals `secret` to `to`. The same seed must never serve two encapsulations of different things.
pub(super) fn wrap(
    secret: &Secret,
    to: &[u8; 32],
    info: &[u8],
    seed: &Secret,
) -> Result<Wrapped, Failed> {
    let to = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(to).map_err(|_key| Failed)?;
    let mut sealed = secret.clone();
    let (encapsulated, tag) =
        hpke::single_shot_seal_in_place_detached::<Aead, HkdfSha256, X25519HkdfSha256, _>(
            &OpModeS::Base,
            &to,
            info,
            sealed.as_mut_slice(),
            &[],
            &mut Given { seed, block: 0 },
        )
        .map_err(|_weak_key| Failed)?;
    Ok(Wrapped {
        encapsulated: encapsulated.to_bytes().into(),
        ciphertext: *sealed,
        tag: tag.to_bytes().into(),
    })
}

/// Opens what was sealed to the public half of `own`, with the same `info`.
pub(super) fn unwrap(wrapped: &Wrapped, own: &Secret, info: &[u8]) -> Result<Secret, Failed> {
    let encapsulated = EncappedKey::from_bytes(&wrapped.encapsulated).map_err(|_length| Failed)?;
    let tag = AeadTag::<Aead>::from_bytes(&wrapped.tag).map_err(|_length| Failed)?;
    let mut secret = Secret::new(wrapped.ciphertext);
    hpke::single_shot_open_in_place_detached::<Aead, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private(own)?,
        &encapsulated,
        info,
        secret.as_mut_slice(),
        &[],
        &tag,
    )
    .map_err(|_mismatch| Failed)?;
    Ok(secret)
}

/// Encrypts `buffer` where it lies and puts the tag behind it. A key serves once, so the nonce is zero.
pub(super) fn encrypt(key: &Secret, aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), Failed> {
    let cipher = ChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_length| Failed)?;
    let tag = cipher
        .encrypt_in_place_detached(&Nonce::default(), aad, buffer)
        .map_err(|_too_long| Failed)?;
    buffer.extend_from_slice(&tag);
    Ok(())
}

/// Decrypts what [`encrypt`] made.
pub(super) fn decrypt(
    key: &Secret,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let (text, tag) = sealed.split_last_chunk::<TAG>().ok_or(Failed)?;
    // With room for a tag: encrypted anew, it does not move and leave a copy behind.
    let mut buffer = Zeroizing::new(Vec::with_capacity(sealed.len()));
    buffer.extend_from_slice(text);
    let cipher = ChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_length| Failed)?;
    cipher
        .decrypt_in_place_detached(&Nonce::default(), aad, &mut buffer, &Tag::from(*tag))
        .map_err(|_mismatch| Failed)?;
    Ok(buffer)
}

/// Hands out a seed in place of a random source: HPKE asks for exactly its 32 bytes.
struct Given<'s> {
    seed: &'s Secret,
    block: u8,
}

impl CryptoRng for Given<'_> {}

impl RngCore for Given<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// First the seed, then hashes of it: whoever asks for more gets nothing twice.
    fn fill_bytes(&mut self, into: &mut [u8]) {
        for chunk in into.chunks_mut(32) {
            let hashed = || Digest::of(&[self.seed.as_slice(), &[self.block]].concat()).0;
            let block = Zeroizing::new(if self.block == 0 { **self.seed } else { hashed() });
            for (to, from) in chunk.iter_mut().zip(block.iter()) {
                *to = *from;
            }
            self.block = self.block.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let byte = |two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.try_into().unwrap()
    }

    /// RFC 9180, appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, sequence 0.
    #[test]
    fn the_standards_own_vector_holds() {
        let seed =
            Secret::new(hex("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b"));
        let (own, to) =
            key_pair(&hex("1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df"));
        assert_eq!(*own, hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"));
        assert_eq!(to, hex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"));
        assert_eq!(public(&own), Ok(to));
        let info = b"Ode on a Grecian Urn";
        let to = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(&to).unwrap();
        let (encapsulated, sealed) =
            hpke::single_shot_seal::<Aead, HkdfSha256, X25519HkdfSha256, _>(
                &OpModeS::Base,
                &to,
                info,
                b"Beauty is truth, truth beauty",
                b"Count-0",
                &mut Given { seed: &seed, block: 0 },
            )
            .unwrap();
        assert_eq!(
            <[u8; 32]>::from(encapsulated.to_bytes()),
            hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
        );
        let expected: [u8; 45] = hex(concat!(
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db",
            "21993c62ce81883d2dd1b51a28",
        ));
        assert_eq!(sealed, expected);
    }

    #[test]
    fn a_wrapped_secret_opens_with_its_key_and_info_only() {
        let (own, to) = key_pair(&[1; 32]);
        let secret = Secret::new([7; 32]);
        let wrapped = wrap(&secret, &to, b"x", &Secret::new([2; 32])).unwrap();
        assert_eq!(unwrap(&wrapped, &own, b"x"), Ok(secret.clone()));
        assert_eq!(unwrap(&wrapped, &own, b"y"), Err(Failed));
        assert_eq!(unwrap(&wrapped, &key_pair(&[3; 32]).0, b"x"), Err(Failed));
        // A key of small order would make the secret everybody's.
        assert_eq!(wrap(&secret, &[0; 32], b"x", &Secret::new([2; 32])), Err(Failed));
    }
}
