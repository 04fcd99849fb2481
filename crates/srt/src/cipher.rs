//! Keys by passphrase, and AES in counter mode. Draft §3.2.2, §6.

use crate::Error;
use crate::sequence::Sequence;
use aws_lc_rs::cipher::{AES_128, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap};
use aws_lc_rs::pbkdf2;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The secret that both sides know. Clones share; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Arc<str>);

/// Key material as it came, and the keys in it.
pub(crate) struct Keys {
    passphrase: Passphrase,
    salt: [u8; SALT_BYTES],
    /// The even one and the odd one.
    keys: [Option<DecryptingKey>; 2],
    size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Aes128,
    Aes256,
}

/// What a key material message says. Draft §3.2.2.
struct Material<'a> {
    has_even: bool,
    has_odd: bool,
    size: Size,
    salt: [u8; SALT_BYTES],
    wrapped: &'a [u8],
}

/// Bytes that a passphrase may have. Draft §6.1.4.
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;
const SALT_BYTES: usize = 16;
/// Bytes before the wrapped keys.
const HEAD_BYTES: usize = 16 + SALT_BYTES;
/// Bytes that wrapping adds. RFC 3394 §2.2.1.
const WRAP_BYTES: usize = 8;
/// Draft §6.1.4.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(2048).expect("not zero");
/// Bytes of the longest message: two keys of AES-256.
pub(crate) const MATERIAL_BYTES_MAX: usize = HEAD_BYTES + WRAP_BYTES + 2 * 32;

impl Passphrase {
    /// Takes it.
    ///
    /// # Errors
    /// For fewer than 10 or more than 79 bytes.
    pub fn new(text: &str) -> Result<Passphrase, Error> {
        if PASSPHRASE_BYTES.contains(&text.len()) {
            Ok(Passphrase(text.into()))
        } else {
            Err(Error::Passphrase(text.len()))
        }
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Size::Aes128 => 16,
            Size::Aes256 => 32,
        }
    }
}

impl<'a> Material<'a> {
    fn parse(message: &'a [u8]) -> Result<Material<'a>, Error> {
        let (head, rest) = message.split_first_chunk::<16>().ok_or(Error::KeyMaterial)?;
        let (salt, wrapped) = rest.split_first_chunk::<SALT_BYTES>().ok_or(Error::KeyMaterial)?;
        // Version 1, type 2; the sign; an even key, an odd key, or both.
        if head[..3] != [0x12, 0x20, 0x29] || !(1..=3).contains(&head[3]) {
            return Err(Error::KeyMaterial);
        }
        // AES-CTR without authentication, for SRT, a salt of 16 bytes.
        if head[4..8] != [0; 4] || head[8..11] != [2, 0, 2] || head[14] != 4 {
            return Err(Error::Cipher);
        }
        let size = match head[15] {
            4 => Size::Aes128,
            8 => Size::Aes256,
            _ => return Err(Error::Cipher),
        };
        let (has_even, has_odd) = (head[3] & 1 != 0, head[3] & 2 != 0);
        let count = usize::from(has_even) + usize::from(has_odd);
        if wrapped.len() != WRAP_BYTES + count * size.bytes() {
            return Err(Error::KeyMaterial);
        }
        Ok(Material { has_even, has_odd, size, salt: *salt, wrapped })
    }
}

impl Keys {
    /// Opens a key material message.
    ///
    /// # Errors
    /// When it is broken, or the passphrase doesn't open it.
    pub(crate) fn open(passphrase: &Passphrase, message: &[u8]) -> Result<Keys, Error> {
        let material = Material::parse(message)?;
        let salt = material.salt;
        let mut keys = Keys { passphrase: passphrase.clone(), salt, keys: [None, None], size: material.size };
        keys.put(&material)?;
        Ok(keys)
    }

    /// Takes the next keys, announced while the last ones still hold. Draft §6.1.6.
    ///
    /// # Errors
    /// When the message is broken, or the passphrase doesn't open it. The keys stay as they are.
    pub(crate) fn renew(&mut self, message: &[u8]) -> Result<(), Error> {
        let material = Material::parse(message)?;
        // What is on its way would be unreadable under another salt.
        if material.size != self.size || material.salt != self.salt {
            return Err(Error::Cipher);
        }
        self.put(&material)
    }

    fn put(&mut self, material: &Material<'_>) -> Result<(), Error> {
        let size = material.size.bytes();
        let mut kek = [0; 32];
        let secret = self.passphrase.0.as_bytes();
        // Draft §6.1.4: the lower 64 bits of the salt.
        let salt = &material.salt[SALT_BYTES - 8..];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, ITERATIONS, salt, secret, &mut kek[..size]);
        let algorithm = match material.size {
            Size::Aes128 => &key_wrap::AES_128,
            Size::Aes256 => &key_wrap::AES_256,
        };
        let mut plain = [0; 2 * 32 + WRAP_BYTES];
        let opened = AesKek::new(algorithm, &kek[..size])
            .and_then(|kek| kek.unwrap(material.wrapped, &mut plain))
            .map_err(|_| Error::BadSecret)?;
        let mut keys = opened.chunks_exact(size);
        for (at, has) in [material.has_even, material.has_odd].into_iter().enumerate() {
            if has {
                self.keys[at] = Some(key(material.size, keys.next().ok_or(Error::KeyMaterial)?)?);
            }
        }
        Ok(())
    }

    /// What a handshake says of the length. Draft §3.2.1.
    pub(crate) fn field(&self) -> u16 {
        (self.size.bytes() / 8) as u16
    }

    /// The one that is used to send by: the first that there is, as libsrt does.
    pub(crate) fn sending(&self) -> u8 {
        if self.keys[0].is_some() { 1 } else { 2 }
    }

    /// Encrypts or decrypts in place: in counter mode that is the same. False if there is no such key.
    pub(crate) fn apply(&self, key: u8, sequence: Sequence, payload: &mut [u8]) -> bool {
        let slot = match key {
            1 => &self.keys[0],
            2 => &self.keys[1],
            _ => return false,
        };
        let Some(key) = slot else { return false };
        // Draft §6.2.2: the upper 112 bits of the salt, the number of the packet upon their end, a counter of 16 bits.
        let mut counter = self.salt;
        counter[14..].fill(0);
        for (byte, number) in counter[10..14].iter_mut().zip(sequence.number().to_be_bytes()) {
            *byte ^= number;
        }
        key.decrypt(payload, DecryptionContext::Iv128(FixedLength::from(counter))).is_ok()
    }
}

fn key(size: Size, bytes: &[u8]) -> Result<DecryptingKey, Error> {
    let algorithm = match size {
        Size::Aes128 => &AES_128,
        Size::Aes256 => &AES_256,
    };
    UnboundCipherKey::new(algorithm, bytes).and_then(DecryptingKey::ctr).map_err(|_| Error::KeyMaterial)
}
