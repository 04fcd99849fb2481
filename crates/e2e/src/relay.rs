//! A bad network between clients and a server, for datagrams.

use anyhow::{Context, Result, bail};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use testkit::{Impairment, Link};

/// Passes datagrams on between clients and a server. As behind a NAT, the server sees an address of the relay per client.
/// It ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    changes: Option<SyncSender<Change>>,
    thread: Option<JoinHandle<()>>,
}

/// What happens to the network.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// How bad both ways are from now on.
    Impair(Impairment),
    /// Clients get other addresses, as from a NAT that was started anew or another network.
    Rebind,
}

/// How long the relay rests when nothing comes; times are exact to this.
const REST: Duration = Duration::from_micros(300);
/// Changes that wait; who makes more waits too.
const CHANGES_MAX: usize = 16;
const DATAGRAM_BYTES: usize = 2048;
const SEEDS: [u64; 2] = [9725, 8853];

impl Relay {
    /// Listens at `at` and passes on to `server`.
    ///
    /// # Errors
    /// When the address can't be used.
    pub fn start(at: SocketAddr, server: SocketAddr) -> Result<Relay> {
        let front = bind(at)?;
        let address = front.local_addr()?;
        let (changes, receiver) = sync_channel(CHANGES_MAX);
        let way = |seed| Way { link: Link::new(seed), waiting: BinaryHeap::new(), count: 0 };
        let state = State { front, server, backs: HashMap::new(), ways: SEEDS.map(way) };
        let thread = std::thread::spawn(move || state.run(&receiver));
        Ok(Relay { address, changes: Some(changes), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the network.
    pub fn change(&self, change: Change) {
        // Without a receiver the thread ended, and with it the relay.
        let _ = self.changes.as_ref().map(|changes| changes.send(change));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::str::FromStr for Change {
    type Err = anyhow::Error;

    /// `rebind`, or `delay_ms jitter_ms loss_permille bits_per_second`.
    fn from_str(text: &str) -> Result<Change> {
        if text == "rebind" {
            return Ok(Change::Rebind);
        }
        let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [delay, jitter, loss, bits_per_second] = numbers[..] else {
            bail!("wanted: rebind, or four numbers: {text}");
        };
        Ok(Change::Impair(Impairment {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            loss_permille: u16::try_from(loss).context("datagrams of a thousand")?,
            bits_per_second,
        }))
    }
}

/// When it arrives, its number, its client, its bytes.
type Late = Reverse<(Instant, u64, SocketAddr, Vec<u8>)>;

struct State {
    front: UdpSocket,
    server: SocketAddr,
    /// A socket towards the server for each client.
    backs: HashMap<SocketAddr, UdpSocket>,
    /// To the server, and back.
    ways: [Way; 2],
}

/// Datagrams on their way, and the client that they are of.
struct Way {
    link: Link,
    waiting: BinaryHeap<Late>,
    count: u64,
}

impl Way {
    fn send(&mut self, now: Instant, client: SocketAddr, bytes: &[u8]) {
        if let Some(arrives) = self.link.send(now, bytes.len()) {
            self.count += 1;
            self.waiting.push(Reverse((arrives, self.count, client, bytes.to_vec())));
        }
    }

    fn due(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        self.waiting.peek().filter(|Reverse((at, ..))| *at <= now)?;
        self.waiting.pop().map(|Reverse((_, _, client, bytes))| (client, bytes))
    }
}

impl State {
    fn run(mut self, changes: &Receiver<Change>) {
        use std::sync::mpsc::TryRecvError;
        loop {
            match changes.try_recv() {
                Ok(Change::Impair(impairment)) => {
                    self.ways.iter_mut().for_each(|way| way.link.set(impairment));
                }
                Ok(Change::Rebind) => self.backs.clear(),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
            if !self.read() && !self.write() {
                std::thread::sleep(REST);
            }
        }
    }

    fn read(&mut self) -> bool {
        let (mut any, mut buffer) = (false, [0; DATAGRAM_BYTES]);
        while let Some((count, client)) = receive(&self.front, &mut buffer) {
            any = true;
            self.ways[0].send(Instant::now(), client, &buffer[..count]);
        }
        for (client, back) in &self.backs {
            while let Some((count, _)) = receive(back, &mut buffer) {
                any = true;
                self.ways[1].send(Instant::now(), *client, &buffer[..count]);
            }
        }
        any
    }

    fn write(&mut self) -> bool {
        let (mut any, now) = (false, Instant::now());
        while let Some((client, bytes)) = self.ways[0].due(now) {
            any = true;
            let local = (Ipv4Addr::LOCALHOST, 0).into();
            if !self.backs.contains_key(&client)
                && let Ok(back) = bind(local)
            {
                self.backs.insert(client, back);
            }
            // What can't be sent is lost, as in any network.
            let _ = self.backs.get(&client).map(|back| back.send_to(&bytes, self.server));
        }
        while let Some((client, bytes)) = self.ways[1].due(now) {
            any = true;
            let _ = self.front.send_to(&bytes, client);
        }
        any
    }
}

fn bind(at: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(at).with_context(|| format!("can't listen on {at}/udp"))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The next datagram that is there. Errors are those of datagrams sent before to who is gone.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    for _ in 0..8 {
        match socket.recv_from(buffer) {
            Ok(found) => return Some(found),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(_) => {}
        }
    }
    None
}
