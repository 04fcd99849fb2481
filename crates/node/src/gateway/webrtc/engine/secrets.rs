//! Learns the media secrets of handshakes: the library keeps them to itself.

use super::super::outlet::{Profile, Secret};
use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::Instant;
use str0m::config::{CryptoProvider, DtlsVersion};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion, SrtpProfile,
};

/// The library's handshakes, which tell their secrets to the thread that drives them.
#[derive(Debug)]
struct Telling(&'static dyn DtlsProvider);

/// One handshake.
#[derive(Debug)]
struct TellingInstance(Box<dyn DtlsInstance>);

static TELLING: LazyLock<Telling> =
    LazyLock::new(|| Telling(str0m::crypto::from_feature_flags().dtls_provider));

thread_local! {
    /// The secret of the handshake that this thread has just driven to its end.
    static TOLD: RefCell<Option<Secret>> = const { RefCell::new(None) };
}

/// The secret of the handshake that ended since the last call on this thread.
pub(super) fn told() -> Option<Secret> {
    TOLD.take()
}

/// The library's cryptography, with handshakes that tell.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { dtls_provider: &*TELLING, ..str0m::crypto::from_feature_flags() }
}

impl DtlsProvider for Telling {
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
        Ok(Box::new(TellingInstance(self.0.new_dtls(certificate, now, version, mtu)?)))
    }
}

impl DtlsInstance for TellingInstance {
    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let client = self.0.is_active();
        let output = self.0.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output
            && let Some(profile) = known(*profile)
        {
            TOLD.set(Some(Secret { profile, material: material.to_vec().into(), client }));
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
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
