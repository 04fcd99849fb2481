//! Which connection a STUN request is for, before anything is allocated for it. RFC 8489 §5, RFC 8445 §7.1.

/// What a datagram on the media port is, by its first byte. RFC 7983 §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A binding request, with the half of its user name that is ours.
    Stun(&'a str),
    /// DTLS, RTP or RTCP.
    Other,
    /// Nothing that anybody here could want.
    Junk,
}

const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0, 1];
const USERNAME: u16 = 0x0006;
/// Attributes looked at; real requests have six or so.
const ATTRIBUTES_MAX: usize = 16;

/// Looks at a datagram.
pub(super) fn content(datagram: &[u8]) -> Content<'_> {
    match datagram.first() {
        Some(0..=3) => local_user(datagram).map_or(Content::Junk, Content::Stun),
        // DTLS 20 to 63, RTP and RTCP 128 to 191.
        Some(20..=63 | 128..=191) => Content::Other,
        _ => Content::Junk,
    }
}

/// The part of USERNAME before the colon: who receives a request is named first (RFC 8445 §7.2.2).
fn local_user(datagram: &[u8]) -> Option<&str> {
    let header = datagram.get(..HEADER_BYTES)?;
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE {
        return None;
    }
    let mut rest = &datagram[HEADER_BYTES..];
    for _ in 0..ATTRIBUTES_MAX {
        let (kind, length) = (u16::from_be_bytes([*rest.first()?, *rest.get(1)?]), rest.get(2..4)?);
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let value = rest.get(4..4 + length)?;
        if kind == USERNAME {
            let (local, _) = std::str::from_utf8(value).ok()?.split_once(':')?;
            return Some(local);
        }
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    fn request(user: &str) -> Vec<u8> {
        let mut out = vec![0, 1, 0, 0];
        out.extend_from_slice(&COOKIE);
        out.extend_from_slice(&[7; 12]);
        // PRIORITY comes before USERNAME here, which nothing forbids.
        out.extend_from_slice(&[0, 0x24, 0, 4, 1, 2, 3, 4, 0, 6, 0, user.len() as u8]);
        out.extend_from_slice(user.as_bytes());
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn a_request_is_for_the_user_that_is_named_first() {
        assert_eq!(content(&request("abc:def")), Content::Stun("abc"));
        assert_eq!(content(&request("abcdef")), Content::Junk);
    }

    #[test]
    fn media_and_handshakes_are_told_from_junk() {
        assert_eq!(content(&[22, 254, 253]), Content::Other);
        assert_eq!(content(&[0x80, 96]), Content::Other);
        assert_eq!(content(b"GET / HTTP/1.1"), Content::Junk);
        assert_eq!(content(&[]), Content::Junk);
    }

    #[test]
    fn a_response_or_another_protocol_is_no_request() {
        let mut response = request("a:b");
        response[0] = 1;
        assert_eq!(content(&response), Content::Junk);
        let mut other = request("a:b");
        other[4] = 0;
        assert_eq!(content(&other), Content::Junk);
    }

    #[test]
    fn fuzz_damaged_requests_are_read_or_dropped() {
        let mut random = Random::seeded(8445);
        for _ in 0..20_000 {
            let datagram = random.mutate(&request("user:peer"));
            if let Content::Stun(user) = content(&datagram) {
                assert!(user.len() < datagram.len());
            }
        }
    }
}
