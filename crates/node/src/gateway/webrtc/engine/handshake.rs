//! Handshakes that the library drives and that we know: it would keep their secrets to itself, and end them with the connection.

use super::super::outlet::{Profile, Secret};
use std::cell::RefCell;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use str0m::config::{CryptoProvider, DtlsVersion};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion, SrtpProfile,
};

/// The handshake of one connection. Clones are the same one.
#[derive(Clone)]
pub(super) struct Handshake(Arc<Mutex<State>>);

struct State {
    instance: Box<dyn DtlsInstance>,
    /// What it gave, once it has come to its end.
    secret: Option<Secret>,
}

/// The library's handshakes, made so that they are known here.
#[derive(Debug)]
struct Known(&'static dyn DtlsProvider);

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known(str0m::crypto::from_feature_flags().dtls_provider));

thread_local! {
    /// The handshake that this thread made last.
    static MADE: RefCell<Option<Handshake>> = const { RefCell::new(None) };
}

/// The library's cryptography, with handshakes that are known here.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { dtls_provider: &*KNOWN, ..str0m::crypto::from_feature_flags() }
}

/// The handshake of the connection that this thread has just made.
pub(super) fn made() -> Option<Handshake> {
    MADE.take()
}

impl Handshake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it gave; once.
    pub(super) fn secret(&self) -> Option<Secret> {
        self.state().secret.take()
    }
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

impl DtlsProvider for Known {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.0.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let instance = self.0.new_dtls(certificate, now, version, mtu)?;
        let made = Handshake(Arc::new(Mutex::new(State { instance, secret: None })));
        MADE.set(Some(made.clone()));
        Ok(Box::new(made))
    }
}

impl DtlsInstance for Handshake {
    fn set_active(&mut self, active: bool) {
        self.state().instance.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.state().instance.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let mut state = self.state();
        let client = state.instance.is_active();
        let output = state.instance.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output
            && let Some(profile) = known(*profile)
        {
            state.secret = Some(Secret { profile, material: material.to_vec().into(), client });
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.state().instance.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.state().instance.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.state().instance.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.state().instance.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.state().instance.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.state().instance.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.state().instance.close()
    }
}

fn known(profile: SrtpProfile) -> Option<Profile> {
    Some(match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1,
        SrtpProfile::AEAD_AES_128_GCM => Profile::Aes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::Aes256Gcm,
        _ => return None,
    })
}
