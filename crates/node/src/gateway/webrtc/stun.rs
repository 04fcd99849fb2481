//! Which connection a STUN request is for, before anything is allocated for it. RFC 8489 §5, RFC 8445 §7.1.

/// What a datagram on the media port is, by its first byte. RFC 7983 §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A binding request.
    Stun(Request<'a>),
    /// DTLS, RTP or RTCP.
    Other,
    /// Nothing that anybody here could want.
    Junk,
}

/// What a binding request says of itself; its signature isn't checked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// The half of its user name that is ours.
    pub(super) user: &'a str,
    /// The peer wants to be sent to on this path (USE-CANDIDATE, RFC 8445 §7.1.2).
    pub(super) nominates: bool,
}

const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0, 1];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const USE_CANDIDATE: u16 = 0x0025;
/// Attributes looked at; real requests have six or so.
const ATTRIBUTES_MAX: usize = 16;

/// Looks at a datagram.
pub(super) fn content(datagram: &[u8]) -> Content<'_> {
    match datagram.first() {
        Some(0..=3) => request(datagram).map_or(Content::Junk, Content::Stun),
        // DTLS 20 to 63, RTP and RTCP 128 to 191.
        Some(20..=63 | 128..=191) => Content::Other,
        _ => Content::Junk,
    }
}

/// Whether this is of the protocol of checks, whatever it says.
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0..=3))
}

fn request(datagram: &[u8]) -> Option<Request<'_>> {
    let header = datagram.get(..HEADER_BYTES)?;
    if header[..2] != BINDING_REQUEST || header[4..8] != COOKIE {
        return None;
    }
    let (mut rest, mut user, mut nominates) = (&datagram[HEADER_BYTES..], None, false);
    for _ in 0..ATTRIBUTES_MAX {
        let [kind_high, kind_low, length_high, length_low, ..] = *rest else { break };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let value = rest.get(4..4 + length)?;
        match u16::from_be_bytes([kind_high, kind_low]) {
            // Who receives a request is named first (RFC 8445 §7.2.2).
            USERNAME => user = Some(std::str::from_utf8(value).ok()?.split_once(':')?.0),
            USE_CANDIDATE => nominates = true,
            // What comes after the signature isn't signed.
            MESSAGE_INTEGRITY => break,
            _ => {}
        }
        let Some(next) = rest.get(4 + length.next_multiple_of(4)..) else { break };
        rest = next;
    }
    Some(Request { user: user?, nominates })
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    fn a_request(user: &str) -> Vec<u8> {
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
        let wanted = Request { user: "abc", nominates: false };
        assert_eq!(content(&a_request("abc:def")), Content::Stun(wanted));
        assert_eq!(content(&a_request("abcdef")), Content::Junk);
    }

    #[test]
    fn a_path_is_nominated_only_by_what_is_signed() {
        let (nominates, signature) = ([0, 0x25, 0, 0], [0, 8, 0, 4, 1, 2, 3, 4]);
        let signed = [a_request("a:b"), nominates.to_vec(), signature.to_vec()].concat();
        assert_eq!(content(&signed), Content::Stun(Request { user: "a", nominates: true }));
        let added = [a_request("a:b"), signature.to_vec(), nominates.to_vec()].concat();
        assert_eq!(content(&added), Content::Stun(Request { user: "a", nominates: false }));
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
        let mut response = a_request("a:b");
        response[0] = 1;
        assert_eq!(content(&response), Content::Junk);
        let mut other = a_request("a:b");
        other[4] = 0;
        assert_eq!(content(&other), Content::Junk);
    }

    #[test]
    fn fuzz_damaged_requests_are_read_or_dropped() {
        let mut random = Random::seeded(8445);
        for _ in 0..20_000 {
            let datagram = random.mutate(&a_request("user:peer"));
            if let Content::Stun(request) = content(&datagram) {
                assert!(request.user.len() < datagram.len());
            }
        }
    }
}
