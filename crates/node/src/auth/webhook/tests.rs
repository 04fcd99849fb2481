//! Against a small real server, over real sockets.

use super::*;
use crate::config::Span;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request. The last one is done again and again.
#[derive(Clone, Debug)]
enum Act {
    Say(u16, String),
    Hang,
}

struct Received {
    signature: Option<String>,
    body: Bytes,
}

impl Received {
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A web service that ends with the test.
struct Hook {
    address: SocketAddr,
    received: mpsc::Receiver<Received>,
    _tasks: JoinSet<()>,
}

type Script = Arc<Mutex<VecDeque<Act>>>;

impl Hook {
    async fn new(script: &[Act]) -> Hook {
        Hook::start(script, None, TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn start(script: &[Act], tls: Option<TlsAcceptor>, listener: TcpListener) -> Hook {
        let script = Arc::new(Mutex::new(script.iter().cloned().collect::<VecDeque<_>>()));
        let (sender, received) = mpsc::channel(1000);
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (script, sender, tls) = (Arc::clone(&script), sender.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(tcp, script, sender).await,
                        Some(tls) => {
                            if let Ok(tls) = tls.accept(tcp).await {
                                serve(tls, script, sender).await;
                            }
                        }
                    }
                });
            }
        });
        Hook { address, received, _tasks: tasks }
    }

    fn url(&self) -> String {
        format!("http://{}/hook?secret=x", self.address)
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(Duration::from_secs(20), self.received.recv()).await.unwrap().unwrap()
    }

    /// Requests that came until now and weren't looked at.
    fn more(&mut self) -> usize {
        std::iter::from_fn(|| self.received.try_recv().ok()).count()
    }
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin, script: Script, sender: mpsc::Sender<Received>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (script, sender) = (Arc::clone(&script), sender.clone());
        async move {
            let signature = request.headers().get("x-floodtide-signature");
            let signature = signature.map(|value| value.to_str().unwrap().to_owned());
            let body = request.into_body().collect().await?.to_bytes();
            sender.send(Received { signature, body }).await.unwrap();
            let act = {
                let mut script = script.lock().unwrap();
                if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
            };
            match act.unwrap() {
                Act::Hang => std::future::pending().await,
                Act::Say(status, text) => {
                    let mut answer = Response::new(Full::new(Bytes::from(text)));
                    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                    Ok::<_, hyper::Error>(answer)
                }
            }
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
}

fn say(status: u16, text: &str) -> Act {
    Act::Say(status, text.to_owned())
}

fn event(kind: Kind) -> Event {
    Event {
        polls: false,
        event: kind,
        session: None,
        vhost: "default".into(),
        app: "live".into(),
        name: "alice".into(),
        protocol: "rtmp".into(),
        address: Some([192, 0, 2, 7].into()),
        query: "key=s3cret".into(),
        bearer: None,
        user_agent: None,
        ended: None,
        recording: None,
    }
}

fn config(urls: &[String]) -> Webhook {
    let urls = urls.to_vec();
    Webhook {
        publish: urls.clone(),
        unpublish: urls,
        timeout: Span(Duration::from_secs(10)),
        ..Webhook::default()
    }
}

fn start(config: &Webhook) -> (Hooks, Telling) {
    Hooks::start(config, 7).unwrap()
}

fn denied(reason: &str) -> Result<Allowed, HookRefusal> {
    Err(HookRefusal::Denied(reason.to_owned()))
}

const ALLOWED: Result<Allowed, HookRefusal> = Ok(Allowed { expires: None });

/// An address that nobody listens on.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test]
async fn the_hook_decides_and_sees_the_secrets_and_our_signature() {
    let script = [
        say(200, r#"{"allow":true,"expires_in":60}"#),
        say(200, r#"{"allow":false,"reason":"not today"}"#),
        say(403, ""),
    ];
    let mut hook = Hook::new(&script).await;
    let secret = "a secret of thirty-two bytes, as it must be";
    let (hooks, _telling) = start(&Webhook { secret: Some(secret.into()), ..config(&[hook.url()]) });
    let before = SystemTime::now();
    let allowed = hooks.ask(&event(Kind::Publish)).await.unwrap();
    let expires = allowed.expires.unwrap().duration_since(before).unwrap();
    assert!((60..90).contains(&expires.as_secs()), "{expires:?}");
    assert_eq!(hooks.ask(&event(Kind::Publish)).await, denied("not today"));
    assert_eq!(hooks.ask(&event(Kind::Publish)).await, denied(NO_REASON));
    assert_eq!(hooks.ask(&event(Kind::Play)).await, ALLOWED, "nobody is asked about playing");

    let (first, second) = (hook.next().await, hook.next().await);
    assert_eq!(first.json()["query"], "key=s3cret");
    assert_ne!(first.json()["id"], second.json()["id"]);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = crate::auth::keys::hex(aws_lc_rs::hmac::sign(&key, &first.body).as_ref());
    assert_eq!(first.signature, Some(format!("sha256={signature}")));
    let counts = hooks.counts();
    assert_eq!(
        (count(&counts.allowed), count(&counts.denied)),
        (2 - 1, 2),
        "only what somebody was asked about"
    );
}

#[tokio::test]
async fn nobody_answers_closed_refuses_and_open_allows() {
    let url = nobody().await;
    let (closed, _telling) = start(&config(std::slice::from_ref(&url)));
    assert_eq!(closed.ask(&event(Kind::Publish)).await, Err(HookRefusal::Unavailable));
    assert_eq!(
        HookRefusal::Unavailable.to_string(),
        "the service that decides who may doesn't answer; try again later"
    );
    let (open, _telling) = start(&Webhook { on_failure: OnFailure::Open, ..config(&[url]) });
    assert_eq!(open.ask(&event(Kind::Publish)).await, ALLOWED);
    assert_eq!((count(&open.counts().unanswered), count(&open.counts().failures)), (1, 1));
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    let long = format!("{{\"allow\":true,\"reason\":\"{}\"}}", "x".repeat(100_000));
    let acts = [say(500, ""), say(404, ""), say(302, ""), say(200, "yes"), Act::Say(200, long), Act::Hang];
    let hook = Hook::new(&acts).await;
    let timeout = Span(Duration::from_millis(500));
    let (hooks, _telling) = start(&Webhook { timeout, breaker_failures: 100, ..config(&[hook.url()]) });
    for act in acts {
        assert_eq!(hooks.ask(&event(Kind::Publish)).await, Err(HookRefusal::Unavailable), "{act:?}");
    }
    assert_eq!(count(&hooks.counts().failures), 6);
}

#[tokio::test]
async fn the_second_hook_is_asked_only_when_the_first_fails() {
    let (mut first, mut second) =
        (Hook::new(&[say(403, ""), say(500, "")]).await, Hook::new(&[say(200, "")]).await);
    let (hooks, _telling) = start(&config(&[first.url(), second.url()]));
    assert_eq!(hooks.ask(&event(Kind::Publish)).await, denied(NO_REASON), "no is an answer");
    assert_eq!((first.more(), second.more()), (1, 0));
    assert_eq!(hooks.ask(&event(Kind::Publish)).await, ALLOWED);
    assert_eq!((first.more(), second.more()), (1, 1));
}

#[tokio::test]
async fn a_server_that_fails_is_left_alone() {
    let mut hook = Hook::new(&[say(500, ""), say(500, ""), say(200, "")]).await;
    let (hooks, _telling) = start(&Webhook {
        breaker_failures: 2,
        breaker_rest: Span(Duration::from_secs(3600)),
        ..config(&[hook.url()])
    });
    for _ in 0..5 {
        assert_eq!(hooks.ask(&event(Kind::Publish)).await, Err(HookRefusal::Unavailable));
    }
    assert_eq!((hook.more(), hooks.left_alone()), (2, 1), "not asked any more");
    let (hooks, _telling) =
        start(&Webhook { breaker_failures: 1, breaker_rest: Span(Duration::ZERO), ..config(&[hook.url()]) });
    assert_eq!(hooks.ask(&event(Kind::Publish)).await, ALLOWED, "back after its rest");
    assert_eq!(hooks.left_alone(), 0);
}

#[tokio::test]
async fn an_answer_is_kept_for_the_same_question_only() {
    let mut hook = Hook::new(&[say(200, r#"{"allow":true,"cache_for":3600}"#), say(403, "")]).await;
    let (hooks, _telling) = start(&config(&[hook.url()]));
    for _ in 0..3 {
        assert_eq!(hooks.ask(&event(Kind::Publish)).await, ALLOWED);
    }
    assert_eq!((hook.more(), count(&hooks.counts().cached)), (1, 2));
    let other = Event { query: "key=other".into(), ..event(Kind::Publish) };
    assert_eq!(hooks.ask(&other).await, denied(NO_REASON));
    let elsewhere = Event { address: Some([192, 0, 2, 8].into()), ..event(Kind::Publish) };
    assert_eq!(hooks.ask(&elsewhere).await, denied(NO_REASON));

    let hook = Hook::new(&[say(200, r#"{"allow":true,"expires_in":0}"#), say(403, "")]).await;
    let (hooks, _telling) =
        start(&Webhook { cache: Span(Duration::from_secs(3600)), ..config(&[hook.url()]) });
    assert!(hooks.ask(&event(Kind::Publish)).await.is_ok());
    assert_eq!(hooks.ask(&event(Kind::Publish)).await, denied(NO_REASON), "no longer than the right itself");
    assert_eq!(hooks.ask(&event(Kind::Publish)).await, denied(NO_REASON), "kept as configured");
}

#[tokio::test]
async fn a_crowd_with_one_question_asks_few_times() {
    let mut hook = Hook::new(&[say(200, r#"{"allow":true,"cache_for":60}"#)]).await;
    let (hooks, _telling) = start(&config(&[hook.url()]));
    let mut crowd = JoinSet::new();
    for _ in 0..2000 {
        let hooks = hooks.clone();
        crowd.spawn(async move { hooks.ask(&event(Kind::Publish)).await });
    }
    assert!(crowd.join_all().await.iter().all(Result::is_ok));
    assert!(hook.more() <= ASKING_MAX);
}

#[tokio::test]
async fn telling_is_tried_again_after_500_and_told_once() {
    let mut hook = Hook::new(&[say(503, ""), say(200, "")]).await;
    let (hooks, telling) = start(&config(&[hook.url()]));
    hooks.tell(&event(Kind::Unpublish));
    hooks.tell(&event(Kind::Unplay));
    let (first, again) = (hook.next().await, hook.next().await);
    assert_eq!(first.body, again.body, "the same id and time");
    assert_eq!(telling.drain(Duration::from_secs(10)).await, 0);
    assert_eq!((count(&hooks.counts().told), hook.more()), (1, 0), "nobody wants unplay");
}

#[tokio::test]
async fn telling_is_not_tried_again_where_it_may_have_arrived() {
    let mut hook = Hook::new(&[say(404, ""), Act::Hang, say(200, "")]).await;
    let timeout = Span(Duration::from_millis(500));
    let (hooks, telling) = start(&Webhook { timeout, ..config(&[hook.url()]) });
    for _ in 0..3 {
        hooks.tell(&event(Kind::Unpublish));
    }
    assert_eq!(telling.drain(Duration::from_secs(10)).await, 0);
    assert_eq!((count(&hooks.counts().given_up), count(&hooks.counts().told), hook.more()), (2, 1, 3));
}

#[tokio::test]
async fn a_server_that_is_down_costs_its_own_events_only() {
    let mut well = Hook::new(&[say(200, "")]).await;
    let hanging = Hook::new(&[Act::Hang]).await;
    let (hooks, telling) = start(&Webhook { queue: 4, ..config(&[hanging.url(), well.url()]) });
    hooks.tell(&event(Kind::Unpublish));
    // It is on its way to both; what follows waits for the one that hangs.
    well.next().await;
    let mut hanging = hanging;
    hanging.next().await;
    for number in 0..6 {
        hooks.tell(&Event { name: number.to_string(), ..event(Kind::Unpublish) });
        assert_eq!(well.next().await.json()["name"], number.to_string(), "in order");
    }
    assert_eq!(count(&hooks.counts().dropped), 2);
    let began = Instant::now();
    assert_eq!(telling.drain(Duration::from_millis(200)).await, 5, "four in the queue, one on its way");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn https_hooks_are_checked_by_the_configured_authorities() {
    let folder = std::env::temp_dir().join(format!("floodtide-hook-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = std::process::Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hook".split(' '),
        )
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let files = crate::config::Tls {
        certificate: Some(certificate.clone()),
        key: Some(key.clone()),
        ..crate::config::Tls::default()
    };
    let certificates = crate::tls::Certificates::default();
    certificates.apply(crate::tls::Certificates::read(&files).unwrap());
    let acceptor = certificates.acceptor(&[b"http/1.1"]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = Hook::start(&[say(200, "")], Some(acceptor), listener);
    let url = format!("https://{}/", hook.address);
    let trusting = Webhook { ca: Some(certificate), ..config(std::slice::from_ref(&url)) };
    assert_eq!(start(&trusting).0.ask(&event(Kind::Publish)).await, ALLOWED);
    // The system's authorities don't know it; a system without any says so at the start.
    if let Ok((strange, _telling)) = Hooks::start(&config(&[url]), 1) {
        assert_eq!(strange.ask(&event(Kind::Publish)).await, Err(HookRefusal::Unavailable));
    }
    let error = Hooks::start(&Webhook { ca: Some(key), ..trusting }, 1).unwrap_err().to_string();
    assert!(error.contains("webhook.ca") && error.contains("no certificate"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}
