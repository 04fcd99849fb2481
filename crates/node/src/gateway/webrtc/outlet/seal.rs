//! SRTP and SRTCP: what of packets is encrypted, and how. RFC 3711, RFC 7714. Bytes in, bytes out.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

/// How media is protected, as the handshake agreed. RFC 5764 §4.1.2, RFC 7714 §14.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Profile {
    Aes128CmSha1,
    Aes128Gcm,
    Aes256Gcm,
}

/// The secrets of one direction.
pub(super) struct MasterKey<'a> {
    profile: Profile,
    key: &'a [u8],
    salt: &'a [u8],
}

/// Protects what we send.
pub(super) struct Sealer {
    rtp: Keys,
    rtcp: Keys,
    /// Of the next SRTCP packet; 31 bits.
    rtcp_index: u32,
}

/// Opens the reports of the peer.
pub(super) struct Opener {
    rtcp: Keys,
    newest: Option<u32>,
}

/// What encrypts one kind of packet in one direction.
enum Keys {
    Gcm {
        key: LessSafeKey,
        salt: [u8; NONCE_LEN],
    },
    /// Boxed, since it is far larger.
    Cm(Box<CounterMode>),
}

struct CounterMode {
    key: EncryptingKey,
    salt: [u8; CM_SALT_BYTES],
    tag: hmac::Key,
}

/// Labels of keys. RFC 3711 §4.3.1.
#[derive(Clone, Copy)]
enum Label {
    Rtp = 0,
    Rtcp = 3,
}

const CM_SALT_BYTES: usize = 14;
const GCM_TAG_BYTES: usize = 16;
const SHA1_TAG_BYTES: usize = 10;
const SHA1_KEY_BYTES: usize = 20;
/// The fixed head of an RTCP packet, and its sender; the rest is encrypted.
const RTCP_HEAD_BYTES: usize = 8;
/// Marks an SRTCP packet as encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// A connection with that many reports has lasted for a hundred years.
const INDEX_MAX: u32 = ENCRYPTED - 1;

impl Profile {
    fn key_bytes(self) -> usize {
        if self == Profile::Aes256Gcm { 32 } else { 16 }
    }

    fn salt_bytes(self) -> usize {
        if self == Profile::Aes128CmSha1 { CM_SALT_BYTES } else { NONCE_LEN }
    }
}

impl<'a> MasterKey<'a> {
    /// The client's secrets and the server's, from what the handshake exported. RFC 5764 §4.2.
    pub(super) fn both(profile: Profile, material: &'a [u8]) -> Option<(MasterKey<'a>, MasterKey<'a>)> {
        let (key, salt) = (profile.key_bytes(), profile.salt_bytes());
        if material.len() != 2 * (key + salt) {
            return None;
        }
        let (keys, salts) = material.split_at(2 * key);
        let one = |at: usize| MasterKey {
            profile,
            key: &keys[at * key..][..key],
            salt: &salts[at * salt..][..salt],
        };
        Some((one(0), one(1)))
    }

    /// The key derivation of RFC 3711 §4.3, as many bytes as `out` has.
    fn derive(&self, label: u8, out: &mut [u8]) -> Option<()> {
        let mut input = [0; 16];
        input[..self.salt.len()].copy_from_slice(self.salt);
        input[7] ^= label;
        out.fill(0);
        counter(self.key)?.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(input))).ok()?;
        Some(())
    }

    fn keys(&self, label: Label) -> Option<Keys> {
        let mut key = [0; 32];
        let key = &mut key[..self.key.len()];
        self.derive(label as u8, key)?;
        let mut salt = [0; CM_SALT_BYTES];
        self.derive(label as u8 + 2, &mut salt[..self.salt.len()])?;
        if self.profile == Profile::Aes128CmSha1 {
            let mut tag = [0; SHA1_KEY_BYTES];
            self.derive(label as u8 + 1, &mut tag)?;
            let tag = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &tag);
            return Some(Keys::Cm(Box::new(CounterMode { key: counter(key)?, salt, tag })));
        }
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        Some(Keys::Gcm { key, salt: *salt.first_chunk()? })
    }
}

fn counter(key: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

impl Keys {
    /// The counter or nonce of a packet: its sender, and its number among all of that sender. RFC 3711 §4.1.1, RFC 7714 §8.1
    /// and §9.1.
    fn start(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let mut start = [0; 16];
        let (salt, ssrc_at): (&[u8], usize) = match self {
            Keys::Gcm { salt, .. } => (salt, 2),
            Keys::Cm(mode) => (&mode.salt, 4),
        };
        start[ssrc_at..ssrc_at + 4].copy_from_slice(&ssrc.to_be_bytes());
        start[ssrc_at + 4..ssrc_at + 10].copy_from_slice(&index.to_be_bytes()[2..]);
        start.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
        start
    }
}

impl CounterMode {
    /// Encrypts or decrypts in place, which is the same.
    fn stream(&self, start: [u8; 16], bytes: &mut [u8]) -> Option<()> {
        self.key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from(start))).ok().map(|_| ())
    }
}

fn nonce(start: [u8; 16]) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes.copy_from_slice(&start[..NONCE_LEN]);
    Nonce::assume_unique_for_key(bytes)
}

impl Sealer {
    pub(super) fn new(master: &MasterKey<'_>) -> Option<Sealer> {
        Some(Sealer { rtp: master.keys(Label::Rtp)?, rtcp: master.keys(Label::Rtcp)?, rtcp_index: 0 })
    }

    /// What protection adds to an RTP packet, in bytes.
    pub(super) fn overhead(&self) -> usize {
        if matches!(self.rtp, Keys::Gcm { .. }) { GCM_TAG_BYTES } else { SHA1_TAG_BYTES }
    }

    /// Protects the RTP packet that begins at `packet` of the buffer and ends with it; `head` bytes of it stay readable. `index`
    /// is its sequence number with the upper bits, which must never be used twice by one `ssrc`.
    pub(super) fn rtp(
        &self,
        buffer: &mut Vec<u8>,
        packet: usize,
        head: usize,
        (ssrc, index): (u32, u64),
    ) -> Option<()> {
        let start = self.rtp.start(ssrc, index);
        let (readable, hidden) = buffer.get_mut(packet..)?.split_at_mut_checked(head)?;
        match &self.rtp {
            Keys::Gcm { key, .. } => {
                let tag = key.seal_in_place_separate_tag(nonce(start), Aad::from(readable), hidden).ok()?;
                buffer.extend_from_slice(tag.as_ref());
            }
            Keys::Cm(mode) => {
                mode.stream(start, hidden)?;
                let mut signer = hmac::Context::with_key(&mode.tag);
                signer.update(&buffer[packet..]);
                // The upper bits of the index. RFC 3711 §4.2.
                signer.update(&((index >> 16) as u32).to_be_bytes());
                buffer.extend_from_slice(&signer.sign().as_ref()[..SHA1_TAG_BYTES]);
            }
        }
        Some(())
    }

    /// Protects the compound RTCP packet that fills the buffer, and whose first sender is `ssrc`.
    pub(super) fn rtcp(&mut self, buffer: &mut Vec<u8>, ssrc: u32) -> Option<()> {
        let index = self.rtcp_index;
        self.rtcp_index = index.checked_add(1).filter(|next| *next <= INDEX_MAX)?;
        let start = self.rtcp.start(ssrc, u64::from(index));
        let trailer = (index | ENCRYPTED).to_be_bytes();
        let (head, hidden) = buffer.split_at_mut_checked(RTCP_HEAD_BYTES)?;
        match &self.rtcp {
            Keys::Gcm { key, .. } => {
                let known = [&*head, &trailer].concat();
                let tag = key.seal_in_place_separate_tag(nonce(start), Aad::from(known), hidden).ok()?;
                buffer.extend_from_slice(tag.as_ref());
                buffer.extend_from_slice(&trailer);
            }
            Keys::Cm(mode) => {
                mode.stream(start, hidden)?;
                buffer.extend_from_slice(&trailer);
                let tag = hmac::sign(&mode.tag, buffer);
                buffer.extend_from_slice(&tag.as_ref()[..SHA1_TAG_BYTES]);
            }
        }
        Some(())
    }
}

impl Opener {
    pub(super) fn new(master: &MasterKey<'_>) -> Option<Opener> {
        Some(Opener { rtcp: master.keys(Label::Rtcp)?, newest: None })
    }

    /// Opens an SRTCP packet in place: the compound packet in it. `None` for what is damaged, forged or old: a report that comes
    /// after a newer one says nothing new.
    pub(super) fn rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let ssrc = u32::from_be_bytes(*packet.get(4..RTCP_HEAD_BYTES)?.first_chunk()?);
        let behind = if matches!(self.rtcp, Keys::Gcm { .. }) { 0 } else { SHA1_TAG_BYTES };
        let trailer_at = packet.len().checked_sub(behind + 4).filter(|at| *at >= RTCP_HEAD_BYTES)?;
        let trailer: [u8; 4] = *packet[trailer_at..].first_chunk()?;
        let index = u32::from_be_bytes(trailer);
        if index & ENCRYPTED == 0 || self.newest.is_some_and(|newest| index & INDEX_MAX <= newest) {
            return None;
        }
        let index = index & INDEX_MAX;
        let start = self.rtcp.start(ssrc, u64::from(index));
        let end = match &self.rtcp {
            Keys::Gcm { key, .. } => {
                let (head, rest) = packet.split_at_mut(RTCP_HEAD_BYTES);
                let known = [&*head, &trailer].concat();
                let sealed = rest.get_mut(..trailer_at - RTCP_HEAD_BYTES)?;
                RTCP_HEAD_BYTES + key.open_in_place(nonce(start), Aad::from(known), sealed).ok()?.len()
            }
            Keys::Cm(mode) => {
                let (signed, signature) = packet.split_at_mut(trailer_at + 4);
                let expected = hmac::sign(&mode.tag, signed);
                aws_lc_rs::constant_time::verify_slices_are_equal(
                    &expected.as_ref()[..SHA1_TAG_BYTES],
                    signature,
                )
                .ok()?;
                mode.stream(start, &mut signed[RTCP_HEAD_BYTES..trailer_at])?;
                trailer_at
            }
        };
        self.newest = Some(index);
        packet.get(..end)
    }
}

#[cfg(test)]
mod tests;
