//! A viewer's connection once its handshake is over and its media goes out by an outlet. What is left: answers to checks (a lite agent
//! asks nothing itself, RFC 8445 §7.3), the last messages of the handshake should they be lost, and the goodbye.

use super::super::socket::Route;
use super::handshake::Handshake;
use super::{Credentials, Step};
use std::collections::VecDeque;
use std::time::Instant;
use str0m::crypto::Sha1HmacProvider;
use str0m::crypto::dtls::{DtlsInstance, DtlsOutput};
use str0m::ice::StunMessage;

/// What is left of a connection.
pub(super) struct Settled {
    handshake: Handshake,
    /// Where the peer's last check came from.
    to: Route,
    outbox: VecDeque<(Route, Vec<u8>)>,
    due: Instant,
    over: bool,
}

/// The secrets of the checks: ours, and what the peer calls itself.
pub(super) struct IceSession {
    pub(super) ours: Credentials,
    /// None when its offer didn't tell.
    pub(super) theirs: Option<String>,
    pub(super) hmac: &'static dyn Sha1HmacProvider,
}

/// The largest record of a handshake that is over: alerts, and the last flight again.
const RECORD_BYTES_MAX: usize = 2048;
/// An answer to a check takes 64 bytes by IPv4, 76 by IPv6.
const ANSWER_BYTES_MAX: usize = 128;

impl IceSession {
    /// The request in a datagram, if it is one that the peer of this session has signed. RFC 8489 §9.1.3.
    pub(super) fn request<'a>(&self, datagram: &'a [u8]) -> Option<StunMessage<'a>> {
        let request = StunMessage::parse(datagram).ok().filter(StunMessage::is_binding_request)?;
        let (ours, theirs) = request.split_username()?;
        let named = ours == self.ours.user && self.theirs.as_ref().is_none_or(|user| user == theirs);
        let hmac = |key: &[u8], parts: &[&[u8]]| self.hmac.sha1_hmac(key, parts);
        (named && request.verify(self.ours.password.as_bytes(), hmac)).then_some(request)
    }

    /// The answer to a request from there.
    fn answer(&self, request: &StunMessage<'_>, from: Route) -> Option<Vec<u8>> {
        let mut answer = vec![0; ANSWER_BYTES_MAX];
        let hmac = |key: &[u8], parts: &[&[u8]]| self.hmac.sha1_hmac(key, parts);
        let reply = StunMessage::binding_reply(request.trans_id(), from.at);
        let length = reply.to_bytes(Some(self.ours.password.as_bytes()), &mut answer, hmac).ok()?;
        answer.truncate(length);
        Some(answer)
    }
}

impl Settled {
    /// Goes on with a handshake; `to`: where its peer is.
    pub(super) fn new(handshake: Handshake, to: Route, now: Instant) -> Settled {
        let mut settled = Settled { handshake, to, outbox: VecDeque::new(), due: now, over: false };
        settled.poll();
        settled
    }

    /// Takes a datagram in. True when it is a request that the peer has signed: only those tell where it is.
    pub(super) fn receive(&mut self, from: Route, datagram: &[u8], ice: &IceSession) -> bool {
        match datagram.first() {
            // RFC 7983 §7.
            Some(0..=3) => {
                let Some(request) = ice.request(datagram) else { return false };
                self.to = from;
                self.outbox.extend(ice.answer(&request, from).map(|answer| (from, answer)));
                return true;
            }
            Some(20..=63) => {
                if let Err(error) = self.handshake.handle_packet(datagram) {
                    tracing::debug!(%error, "a record is not taken");
                }
                self.poll();
            }
            // It sends no media, and its reports are the outlet's.
            _ => {}
        }
        false
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.due > now {
            return;
        }
        if let Err(error) = self.handshake.handle_timeout(now) {
            tracing::debug!(%error, "a handshake that was over can't go on");
            self.over = true;
        }
        self.poll();
    }

    pub(super) fn close(&mut self) {
        if self.handshake.close().is_ok() {
            self.poll();
        }
        self.over = true;
    }

    pub(super) fn step(&mut self) -> Step {
        match self.outbox.pop_front() {
            Some((to, datagram)) => Step::Send { to, datagram },
            None if self.over => Step::Over,
            None => Step::Wait(self.due),
        }
    }

    /// Takes what the handshake has to say.
    fn poll(&mut self) {
        let mut buffer = [0; RECORD_BYTES_MAX];
        loop {
            match self.handshake.poll_output(&mut buffer) {
                DtlsOutput::Packet(packet) => self.outbox.push_back((self.to, packet.to_vec())),
                DtlsOutput::Timeout(at) => {
                    self.due = at;
                    return;
                }
                DtlsOutput::CloseNotify => self.over = true,
                DtlsOutput::BufferTooSmall { .. } => {
                    self.over = true;
                    return;
                }
                // A viewer has nothing to say by data.
                _ => {}
            }
        }
    }
}
