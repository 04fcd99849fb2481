//! Datagrams of nobody, as many a second as asked for, from many addresses.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use testkit::Random;

/// A storm of STUN, DTLS, RTP and junk that belongs to no connection. It blows for a while on a thread of its own.
#[derive(Debug)]
pub struct Storm(JoinHandle<Result<Blown>>);

/// What was sent and what came back.
#[derive(Clone, Copy, Debug)]
pub struct Blown {
    /// Datagrams that the system took.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that were sent back.
    pub answered: u64,
    /// How long it took.
    pub time: Duration,
}

/// Addresses that it comes from: 127.8.0.1 and on.
const SOURCES: u8 = 64;
/// Different datagrams.
const KINDS: usize = 512;
/// Sent between two looks at the clock.
const STEP_DATAGRAMS: u64 = 256;
/// A rest when nothing is due.
const STEP: Duration = Duration::from_micros(200);

impl Storm {
    /// Sends so many datagrams a second to `to`.
    pub fn blow(to: SocketAddr, per_second: u32, time: Duration) -> Storm {
        Storm(std::thread::spawn(move || blow(to, per_second, time)))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it could not blow.
    pub fn over(self) -> Result<Blown> {
        self.0.join().ok().context("the storm panicked")?
    }
}

/// Datagrams to a port of ours that its sockets had no room for, since they were opened. proc(5): the last column of `/proc/net/udp`.
///
/// # Errors
/// When the system doesn't tell.
pub fn dropped(port: u16) -> Result<u64> {
    let table = std::fs::read_to_string("/proc/net/udp").context("/proc/net/udp")?;
    let local = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row.get(1).is_some_and(|address| address.ends_with(&local)));
    Ok(ours.filter_map(|row| row.last()?.parse::<u64>().ok()).sum())
}

fn blow(to: SocketAddr, per_second: u32, time: Duration) -> Result<Blown> {
    let sockets =
        (1..=SOURCES).map(|last| bound(Ipv4Addr::new(127, 8, 0, last))).collect::<Result<Vec<_>>>()?;
    let mut random = Random::seeded(8445);
    let datagrams: Vec<Vec<u8>> = (0..KINDS).map(|kind| datagram(kind, &mut random)).collect();
    let (began, mut blown) = (Instant::now(), Blown { datagrams: 0, bytes: 0, answered: 0, time });
    let mut tried = 0_u64;
    while began.elapsed() < time {
        let due = (began.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        // Who is late doesn't rest.
        if due == tried {
            std::thread::sleep(STEP);
        }
        let step = due.min(tried + STEP_DATAGRAMS);
        while tried < step {
            let socket = &sockets[tried as usize % sockets.len()];
            let datagram = &datagrams[tried as usize % datagrams.len()];
            tried += 1;
            // What the system has no room for is not sent.
            if socket.send_to(datagram, to).is_ok() {
                blown.datagrams += 1;
                blown.bytes += datagram.len() as u64;
            }
        }
    }
    blown.time = began.elapsed();
    blown.answered = sockets.iter().map(answered).sum();
    Ok(blown)
}

fn bound(address: Ipv4Addr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0)).with_context(|| format!("can't bind {address}"))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What came to a socket, bytes.
fn answered(socket: &UdpSocket) -> u64 {
    let mut buffer = [0; 2048];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok()).map(|bytes| bytes as u64).sum()
}

/// By turns: a binding request with a user name that nobody has, the beginning of a DTLS handshake, RTP, anything.
fn datagram(kind: usize, random: &mut Random) -> Vec<u8> {
    match kind % 4 {
        0 => binding_request(random),
        // Handshake, DTLS 1.2, epoch 0, ClientHello (RFC 6347 §4.1, §4.2.2).
        1 => [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 180, 1, 0, 0, 168][..], &random.bytes(176)].concat(),
        2 => [&[0x80, 96][..], &random.bytes(1000)].concat(),
        _ => {
            let length = random.below(1200);
            random.bytes(length)
        }
    }
}

/// RFC 8489 §5: USERNAME, and a signature that is none.
fn binding_request(random: &mut Random) -> Vec<u8> {
    let user = format!("{:016x}{:016x}:peer", random.next_u64(), random.next_u64());
    let mut attributes = vec![0, 6, 0, user.len() as u8];
    attributes.extend_from_slice(user.as_bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    attributes.extend_from_slice(&[0, 8, 0, 20]);
    attributes.extend(random.bytes(20));
    let mut request = vec![0, 1];
    request.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
    request.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    request.extend(random.bytes(12));
    [request, attributes].concat()
}
