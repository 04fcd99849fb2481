//! A certificate that the server gets for itself. RFC 8555, with HTTP-01 challenges.

use super::certificates::Certificates;
use super::challenges::Challenges;
use super::pair::Pair;
use crate::config::Acme;
use crate::gateway::random_bytes;
use crate::life::Life;
use crate::outward::{Backoff, Retry};
use crate::state_file;
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Gets a certificate, and a new one when two thirds of its time are over. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Acquiring {
    wanted: Arc<watch::Sender<Acme>>,
    certificates: Certificates,
    challenges: Challenges,
    folder: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
enum AcmeError {
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    #[error("the authority refuses {0}: {1}")]
    Refused(String, String),
    #[error("the authority offers no HTTP challenge for {0}")]
    NoChallenge(String),
    #[error("can't write to {0}: {1}")]
    State(PathBuf, std::io::Error),
    #[error("the authority's certificate can't be used: {0}")]
    Certificate(#[from] super::pair::TlsError),
    #[error("it takes longer than {0:?}")]
    Late(Duration),
}

/// The account, as the state folder has it.
#[derive(Serialize, Deserialize)]
struct StoredAccount {
    /// Where it is one.
    directory: String,
    credentials: AccountCredentials,
}

const ACCOUNT: &str = "acme/account.json";
/// Key and chain in one file, so that they always fit each other.
const CERTIFICATE: &str = "acme/certificate.pem";
/// Authorities count failures: Let's Encrypt allows five an hour for a name.
const RETRY: Retry = Retry { min: Duration::from_secs(15 * 60), max: Duration::from_secs(6 * 3600) };
/// From the first request to the certificate.
const ACQUIRE_MAX: Duration = Duration::from_secs(300);
/// How long an authority may take for one step.
const STEP: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
/// Clocks may be set; so it looks again after this time.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

impl Acquiring {
    pub(crate) fn new(
        acme: &Acme,
        certificates: &Certificates,
        challenges: &Challenges,
        state: &Path,
    ) -> Acquiring {
        let (certificates, challenges) = (certificates.clone(), challenges.clone());
        let acquiring = Acquiring {
            wanted: Arc::new(watch::Sender::new(acme.clone())),
            certificates,
            challenges,
            folder: state.to_owned(),
        };
        if let Some(pair) = acquiring.kept(acme) {
            acquiring.certificates.acquired(pair);
        }
        acquiring
    }

    /// Takes other settings.
    pub(crate) fn apply(&self, acme: &Acme) {
        self.wanted.send_if_modified(|wanted| {
            let is_new = wanted != acme;
            *wanted = acme.clone();
            is_new
        });
    }

    /// Looks after the certificate until the server lets nobody in any more.
    pub(crate) async fn run(self, mut life: Life) {
        let mut wanted = self.wanted.subscribe();
        let mut backoff = Backoff::new(RETRY);
        // Kept here too: a state folder that can't be written to must not make us ask the authority again and again.
        let mut have = None;
        loop {
            let acme = wanted.borrow_and_update().clone();
            let work = async {
                let rest = self.look(&acme, &mut have, &mut backoff).await;
                tokio::time::sleep(rest).await;
            };
            tokio::select! {
                () = work => {}
                _ = wanted.changed() => backoff = Backoff::new(RETRY),
                () = life.draining() => return,
            }
        }
    }

    /// Gets a certificate if it is time; returns when to look again.
    async fn look(&self, acme: &Acme, have: &mut Option<Pair>, backoff: &mut Backoff) -> Duration {
        if !acme.is_on() {
            return LOOK_EVERY;
        }
        let kept = have.take().filter(|pair| pair.is_for(&acme.hosts)).or_else(|| self.kept(acme));
        let left = kept.as_ref().and_then(|pair| due(pair).duration_since(SystemTime::now()).ok());
        if let (Some(pair), Some(left)) = (&kept, left) {
            self.certificates.acquired(pair.clone());
            *have = kept;
            return left.min(LOOK_EVERY);
        }
        *have = kept;
        let got = tokio::time::timeout(ACQUIRE_MAX, self.acquire(acme)).await;
        let error = match got.unwrap_or(Err(AcmeError::Late(ACQUIRE_MAX))) {
            Ok((pair, pem)) => {
                let days = pair.ends.duration_since(SystemTime::now()).unwrap_or_default().as_secs() / 86_400;
                tracing::info!(hosts = %acme.hosts.join(", "), days, "got a certificate");
                *backoff = Backoff::new(RETRY);
                self.certificates.acquired(pair.clone());
                *have = Some(pair);
                match store(self.folder.join(CERTIFICATE), pem).await {
                    Ok(()) => return Duration::ZERO,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        // Without random bytes, all come back at the same time.
        let rest = backoff.after(Duration::ZERO, random_bytes().map_or(u32::MAX, u32::from_ne_bytes));
        let (hosts, retry_s) = (acme.hosts.join(", "), rest.as_secs());
        tracing::error!(%hosts, %error, retry_s, "getting a certificate fails; see docs/tls.md");
        rest
    }

    /// The certificate in the state folder, if it is for all hosts.
    fn kept(&self, acme: &Acme) -> Option<Pair> {
        let path = self.folder.join(CERTIFICATE);
        let pair = Pair::read(&path, &path).ok()?;
        (acme.is_on() && pair.is_for(&acme.hosts)).then_some(pair)
    }

    /// A new certificate, and key and chain as they are stored.
    async fn acquire(&self, acme: &Acme) -> Result<(Pair, Vec<u8>), AcmeError> {
        let account = self.account(acme).await?;
        let hosts: Vec<_> = acme.hosts.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&hosts)).await?;
        self.prove(&mut order).await?;
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&STEP).await?;
        let both = format!("{key}{chain}").into_bytes();
        let path = self.folder.join(CERTIFICATE);
        Ok((Pair::parse(&both, &both, &path, &path)?, both))
    }

    /// Shows that the hosts are ours.
    async fn prove(&self, order: &mut Order) -> Result<(), AcmeError> {
        let mut offered = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let host = authorization.identifier().to_string();
            let challenge = authorization.challenge(ChallengeType::Http01);
            let mut challenge = challenge.ok_or(AcmeError::NoChallenge(host))?;
            let answer = challenge.key_authorization();
            offered.push(self.challenges.offer(&challenge.token, answer.as_str()));
            challenge.set_ready().await?;
        }
        if order.poll_ready(&STEP).await? == OrderStatus::Ready {
            return Ok(());
        }
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            let host = authorization.identifier().to_string();
            let state = authorization.refresh().await?;
            let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
            if let Some(problem) = problem {
                return Err(AcmeError::Refused(host, problem.to_string()));
            }
        }
        Err(AcmeError::Refused("the order".to_owned(), "it doesn't say why".to_owned()))
    }

    /// The account of the state folder, or a new one.
    async fn account(&self, acme: &Acme) -> Result<Account, AcmeError> {
        let path = self.folder.join(ACCOUNT);
        let stored = std::fs::read(&path).ok();
        let stored = stored.and_then(|bytes| serde_json::from_slice::<StoredAccount>(&bytes).ok());
        if let Some(stored) = stored.filter(|stored| stored.directory == acme.directory) {
            return Ok(builder(acme)?.from_credentials(stored.credentials).await?);
        }
        let contact: Vec<String> = acme.contact.iter().map(|mail| format!("mailto:{mail}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder(acme)?.create(&new, acme.directory.clone(), None).await?;
        let stored = StoredAccount { directory: acme.directory.clone(), credentials };
        let bytes =
            serde_json::to_vec_pretty(&stored).map_err(|e| AcmeError::State(path.clone(), e.into()))?;
        store(path, bytes).await?;
        Ok(account)
    }
}

/// Writes a file of the state folder. Disks may take their time.
async fn store(path: PathBuf, bytes: Vec<u8>) -> Result<(), AcmeError> {
    let to = path.clone();
    let written = tokio::task::spawn_blocking(move || state_file::replace(&to, &bytes)).await;
    written.unwrap_or_else(|error| Err(error.into())).map_err(|error| AcmeError::State(path, error))
}

fn builder(acme: &Acme) -> Result<AccountBuilder, instant_acme::Error> {
    match &acme.ca {
        Some(ca) => Account::builder_with_root(ca),
        None => Account::builder(),
    }
}

/// When two thirds of its time are over.
fn due(pair: &Pair) -> SystemTime {
    let whole = pair.ends.duration_since(pair.begins).unwrap_or_default();
    pair.begins + whole * 2 / 3
}
