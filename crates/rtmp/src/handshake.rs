//! C0 to S2. RTMP 1.0 §5.2, and the digests that Flash added to it.
//!
//! A digest is an HMAC-SHA256 over the 1536 bytes without the 32 of the digest itself, which lie at an offset
//! that four bytes of the packet tell: those at 8 (scheme 1) or at 772 (scheme 0).

use crate::Error;
use aws_lc_rs::hmac;

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_BYTES: usize = 1536;
const DIGEST_BYTES: usize = 32;

/// The publisher's or player's public key.
const CLIENT_KEY: &[u8] = b"Genuine Adobe Flash Player 001";
/// The server's public key.
const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001";
/// What both keys are followed by where the whole key is used.
const KEY_TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e,
    0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];
/// The version that S1 claims when it has a digest; players check the digest from 3 on.
const SERVER_VERSION: [u8; 4] = [5, 0, 4, 14];

/// The server's answer to C0 and C1: S0, S1 and S2.
///
/// `random` fills what has no meaning. A C1 with a digest gets an S1 and S2 with digests; a plain C1 gets plain
/// ones, with a version of zero, so that no player looks for a digest.
///
/// # Errors
/// [`Error::Version`] when C0 isn't 3.
pub fn answer(c0: u8, c1: &[u8; PACKET_BYTES], random: &[u8; PACKET_BYTES]) -> Result<Vec<u8>, Error> {
    if c0 != 3 {
        return Err(Error::Version(c0));
    }
    let mut out = Vec::with_capacity(1 + 2 * PACKET_BYTES);
    out.push(3);
    let mut s1 = *random;
    s1[..8].fill(0);
    let Some((scheme, digest)) = find_digest(c1, CLIENT_KEY) else {
        out.extend_from_slice(&s1);
        out.extend_from_slice(c1);
        return Ok(out);
    };
    s1[4..8].copy_from_slice(&SERVER_VERSION);
    let at = digest_offset(&s1, scheme);
    let own = digest_of(&s1, at, SERVER_KEY);
    s1[at..at + DIGEST_BYTES].copy_from_slice(&own);
    out.extend_from_slice(&s1);
    // S2 is signed with a key made of the client's digest.
    let key = sign(&[SERVER_KEY, &KEY_TAIL].concat(), &[&digest]);
    let mut s2 = *random;
    s2.reverse();
    let signature = sign(&key, &[&s2[..PACKET_BYTES - DIGEST_BYTES]]);
    s2[PACKET_BYTES - DIGEST_BYTES..].copy_from_slice(&signature);
    out.extend_from_slice(&s2);
    Ok(out)
}

/// The client's C0 and C1, plain.
pub fn open(random: &[u8; PACKET_BYTES]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + PACKET_BYTES);
    out.push(3);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&random[8..]);
    out
}

/// C0 and C1 as Flash sends them, with a digest.
#[cfg(test)]
pub(crate) fn open_with_digest(random: &[u8; PACKET_BYTES], scheme: usize) -> Vec<u8> {
    let mut c1 = *random;
    let at = digest_offset(&c1, scheme);
    let digest = digest_of(&c1, at, CLIENT_KEY);
    c1[at..at + DIGEST_BYTES].copy_from_slice(&digest);
    [&[3], &c1[..]].concat()
}

/// Where the digest lies by `scheme`.
fn digest_offset(packet: &[u8; PACKET_BYTES], scheme: usize) -> usize {
    let base = if scheme == 1 { 8 } else { 772 };
    let sum: usize = packet[base..base + 4].iter().map(|b| usize::from(*b)).sum();
    base + 4 + sum % 728
}

/// The scheme and the digest, if the packet has one of `key`.
fn find_digest(packet: &[u8; PACKET_BYTES], key: &[u8]) -> Option<(usize, [u8; DIGEST_BYTES])> {
    [1, 0].into_iter().find_map(|scheme| {
        let at = digest_offset(packet, scheme);
        let digest = digest_of(packet, at, key);
        (packet[at..at + DIGEST_BYTES] == digest).then_some((scheme, digest))
    })
}

fn digest_of(packet: &[u8; PACKET_BYTES], at: usize, key: &[u8]) -> [u8; DIGEST_BYTES] {
    sign(key, &[&packet[..at], &packet[at + DIGEST_BYTES..]])
}

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|p| context.update(p));
    let mut out = [0; DIGEST_BYTES];
    out.copy_from_slice(context.sign().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(seed: u8) -> [u8; PACKET_BYTES] {
        std::array::from_fn(|i| (i as u8).wrapping_mul(31).wrapping_add(seed))
    }

    #[test]
    fn a_plain_client_gets_its_own_bytes_back_and_no_version() {
        let c1 = packet(1);
        let out = answer(3, &c1, &packet(2)).unwrap();
        assert_eq!(out.len(), 1 + 2 * PACKET_BYTES);
        assert_eq!(out[1..9], [0; 8]);
        assert_eq!(out[1 + PACKET_BYTES..], c1);
    }

    #[test]
    fn a_digest_client_of_either_scheme_gets_digests() {
        for scheme in [0, 1] {
            let c1: [u8; PACKET_BYTES] = open_with_digest(&packet(3), scheme)[1..].try_into().unwrap();
            let (_, digest) = find_digest(&c1, CLIENT_KEY).unwrap();
            let out = answer(3, &c1, &packet(4)).unwrap();
            let s1: [u8; PACKET_BYTES] = out[1..=PACKET_BYTES].try_into().unwrap();
            assert_eq!(find_digest(&s1, SERVER_KEY).map(|(s, _)| s), Some(scheme));
            let key = sign(&[SERVER_KEY, &KEY_TAIL].concat(), &[&digest]);
            let s2 = &out[1 + PACKET_BYTES..];
            assert_eq!(s2[PACKET_BYTES - 32..], sign(&key, &[&s2[..PACKET_BYTES - 32]]));
        }
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(answer(6, &packet(0), &packet(0)), Err(Error::Version(6)));
    }
}
