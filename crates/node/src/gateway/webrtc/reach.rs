//! Which addresses clients reach this server by: set, told by a STUN server, or this machine's own.

use super::super::random_bytes;
use crate::config::Webrtc;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Which addresses answers name, the one that is best known first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Without the port.
    pub addresses: Vec<IpAddr>,
    /// How they are known.
    pub known: Known,
}

/// How addresses are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// `webrtc.addresses` or `webrtc.listen` names them.
    Set,
    /// They are this machine's own.
    Own,
    /// The first one is what `webrtc.stun` told.
    Told,
    /// They are this machine's own, since `webrtc.stun` told nothing, for this reason.
    Untold(String),
}

/// How often a STUN server is asked; each time may be lost.
const TRIES: u32 = 3;
/// How long each answer, and the look-up of its name, may take: twice across the world (RFC 8489 §6.2.1).
const ANSWER_MAX: Duration = Duration::from_millis(500);
/// An answer with every attribute that servers add has some 100.
const ANSWER_BYTES_MAX: usize = 548;

impl Reach {
    /// Looks. A STUN server is asked only where no addresses are set.
    pub async fn find(config: &Webrtc) -> Reach {
        let own = match config.listen.ip() {
            ip if ip.is_unspecified() => (own(ip.is_ipv6()), Known::Own),
            ip => (vec![ip], Known::Set),
        };
        let (addresses, known) = match (config.addresses.is_empty(), config.stun.is_empty()) {
            (false, _) => (config.addresses.clone(), Known::Set),
            (true, true) => own,
            (true, false) => match Reach::ask(&config.stun).await {
                Ok(told) => {
                    let others = own.0.into_iter().filter(|ip| *ip != told);
                    ([told].into_iter().chain(others).collect(), Known::Told)
                }
                Err(why) => (own.0, Known::Untold(why)),
            },
        };
        Reach { addresses, known }
    }

    /// The address that a STUN server (`HOST:PORT`) sees us by, or why it doesn't say.
    ///
    /// # Errors
    /// When the name has no address, or nothing that can be read comes in time.
    pub async fn ask(server: &str) -> Result<IpAddr, String> {
        let found = timeout(ANSWER_MAX * TRIES, tokio::net::lookup_host(server)).await;
        let found = found.map_err(|_| "its name can't be looked up in time".to_owned())?;
        let all: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
        // It is IPv4 that is translated.
        let server = all.iter().find(|address| address.is_ipv4()).or_else(|| all.first());
        let server = *server.ok_or("its name has no address")?;
        let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let asked = async {
            let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
            socket.connect(server).await?;
            exchange(&socket, random_bytes()?).await
        };
        asked.await.map_err(|error| error.to_string())
    }
}

/// Asks until an answer comes.
async fn exchange(socket: &UdpSocket, transaction: [u8; 12]) -> std::io::Result<IpAddr> {
    let mut answer = [0; ANSWER_BYTES_MAX];
    for _ in 0..TRIES {
        socket.send(&request(transaction)).await?;
        if let Ok(received) = timeout(ANSWER_MAX, socket.recv(&mut answer)).await
            && let Some(address) = told(&answer[..received?], transaction)
        {
            return Ok(address);
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it doesn't answer"))
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// A binding request without attributes. RFC 8489 §5.
fn request(transaction: [u8; 12]) -> [u8; 20] {
    let mut out = [0; 20];
    out[1] = 1;
    out[4..8].copy_from_slice(&COOKIE);
    out[8..].copy_from_slice(&transaction);
    out
}

/// The address in an answer to that request. RFC 8489 §14.2.
fn told(answer: &[u8], transaction: [u8; 12]) -> Option<IpAddr> {
    let (head, mut rest) = answer.split_at_checked(20)?;
    if head[..2] != [1, 1] || head[4..8] != COOKIE || head[8..] != transaction {
        return None;
    }
    let mask: Vec<u8> = COOKIE.into_iter().chain(transaction).collect();
    while let [kind_high, kind_low, length_high, length_low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let value = rest.get(4..4 + length)?;
        if u16::from_be_bytes([kind_high, kind_low]) == XOR_MAPPED_ADDRESS {
            let unmasked: Vec<u8> =
                value.get(4..)?.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
            return match value[1] {
                1 => <[u8; 4]>::try_from(unmasked).ok().map(IpAddr::from),
                2 => <[u8; 16]>::try_from(unmasked).ok().map(IpAddr::from),
                _ => None,
            };
        }
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
    }
    None
}

/// This machine's addresses towards the internet, and that which only it knows.
fn own(six: bool) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = [outward("192.0.2.1:9"), outward("[2001:db8::1]:9")]
        .into_iter()
        .flatten()
        .filter(|ip| ip.is_ipv4() || six)
        .collect();
    ips.push(IpAddr::from([127, 0, 0, 1]));
    ips.dedup();
    ips
}

/// The address that this machine has towards another one. Nothing is sent: connecting a UDP socket only chooses the route.
fn outward(to: &str) -> Option<IpAddr> {
    let to: SocketAddr = to.parse().ok()?;
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    /// RFC 5769 §2.2 and §2.3, as far as they go without credentials.
    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn answer(attributes: &[&[u8]]) -> Vec<u8> {
        let attributes = attributes.concat();
        let head = [&[1, 1], &(attributes.len() as u16).to_be_bytes()[..], &COOKIE, &TRANSACTION].concat();
        [head, attributes].concat()
    }

    const SOFTWARE: &[u8] = b"\x80\x22\x00\x0btest vector ";
    const FOUR: &[u8] = b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43";
    const SIX: &[u8] =
        b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";

    #[test]
    fn an_answer_tells_the_address_that_it_came_from() {
        assert_eq!(told(&answer(&[SOFTWARE, FOUR]), TRANSACTION), "192.0.2.1".parse().ok());
        let six = "2001:db8:1234:5678:11:2233:4455:6677".parse().ok();
        assert_eq!(told(&answer(&[SOFTWARE, SIX]), TRANSACTION), six);
    }

    #[test]
    fn what_is_no_answer_to_this_request_tells_nothing() {
        assert_eq!(told(&answer(&[FOUR]), [0; 12]), None);
        assert_eq!(told(&answer(&[SOFTWARE]), TRANSACTION), None);
        assert_eq!(told(&request(TRANSACTION), TRANSACTION), None);
        assert_eq!(told(&[], TRANSACTION), None);
    }

    #[test]
    fn fuzz_damaged_answers_are_read_or_not() {
        let mut random = Random::seeded(8489);
        for _ in 0..20_000 {
            let _ = told(&random.mutate(&answer(&[SOFTWARE, FOUR, SIX])), TRANSACTION);
        }
    }

    #[tokio::test]
    async fn what_is_set_needs_nobody_who_tells() {
        let set = Webrtc { addresses: vec![IpAddr::from([192, 0, 2, 9])], ..Webrtc::default() };
        let asking = Webrtc { stun: "127.0.0.1:1".to_owned(), ..set.clone() };
        for config in [set, asking] {
            let found = Reach::find(&config).await;
            assert_eq!(found, Reach { addresses: config.addresses, known: Known::Set });
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_leaves_this_machines_own_addresses() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let stun = socket.local_addr().unwrap().to_string();
        drop(socket);
        let found = Reach::find(&Webrtc { stun, ..Webrtc::default() }).await;
        assert!(matches!(found.known, Known::Untold(_)), "{found:?}");
        assert!(found.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{found:?}");
    }
}
