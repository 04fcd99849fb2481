//! Our viewers against our floor, over loopback, in one process.

use crate::args::AudienceArgs;
use crate::crowd::Measured;
use crate::floor::Floor;
use crate::flv::Clip;
use crate::flv::tests::tiny_clip;
use crate::processes::{Again, Share};
use crate::profile::profiles;
use crate::quantity;
use crate::start::{ProgressLine, ViewPlan};
use crate::stats::Tally;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn audience(url: String, viewers: u32) -> AudienceArgs {
    AudienceArgs {
        urls: vec![url],
        shares: vec![],
        mix: None,
        rtmp_port: 1935,
        viewers,
        broadcasts: 1,
        ramp: 1000.0,
        warmup: Duration::from_millis(200),
        duration: Duration::from_millis(1500),
        probe: 2,
        slow: quantity::Share(0.0),
        stopped: quantity::Share(0.0),
        stall_after: Duration::from_secs(1),
        late_after: Duration::from_millis(30),
        tick: Duration::from_millis(5),
        sources: None,
        processes: 1,
        sample_pid: None,
    }
}

/// Runs `body` while a floor serves at the address it is given.
fn with_floor<T>(window: Duration, body: impl FnOnce(SocketAddr) -> T) -> T {
    let clip = Clip::parse(&tiny_clip(50, 10)).unwrap();
    let floor = Floor::bind("127.0.0.1:0".parse().unwrap(), clip, window).unwrap();
    let (address, stop) = (floor.address().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| floor.run(None, &stop));
        let result = body(address);
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap().unwrap();
        result
    })
}

fn view(audience: &AudienceArgs) -> Measured {
    let profiles = profiles(&audience.urls, &audience.shares, None, 1935).unwrap();
    let plan = ViewPlan { audience, profiles: &profiles, again: None };
    plan.measure(true).unwrap().0
}

#[test]
fn everybody_before_the_floor_plays_and_the_window_shows_in_the_age() {
    let measured = with_floor(Duration::from_millis(40), |address| {
        view(&audience(format!("http://{address}/x.flv"), 50))
    });
    let tally = &measured.tallies[0];
    assert_eq!((tally.viewers, tally.connected, tally.playing, tally.silent), (50, 50, 50, 0), "{tally:?}");
    assert_eq!((tally.disconnected(), tally.stalls, tally.timestamps_back), (0, 0, 0));
    assert_eq!(tally.first_media.len(), 50);
    // Two probes, 1.5 s of 25 video and 25 audio frames a second.
    assert!((100..=200).contains(&tally.frames), "{} frames", tally.frames);
    assert!((50..=100).contains(&tally.frame_age.len()), "{} stamps", tally.frame_age.len());
    // At most the window on a quiet machine; this one may be busy.
    assert!(tally.frame_age.percentile(50.0) < 200_000, "{} µs", tally.frame_age.percentile(50.0));
    let rates = (tally.viewer_rate.percentile(0.0), tally.viewer_rate.max());
    assert!(rates.0 > 0 && rates.1 < rates.0 * 2, "all get the same: {rates:?}");
}

#[test]
fn slow_and_stopped_viewers_get_less_and_stall_nobody() {
    let measured = with_floor(Duration::ZERO, |address| {
        let mut audience = audience(format!("http://{address}/x.flv"), 40);
        audience.slow = quantity::Share(0.1);
        audience.stopped = quantity::Share(0.05);
        view(&audience)
    });
    let tally = &measured.tallies[0];
    assert_eq!((tally.slow, tally.steady, tally.playing, tally.stalls), (6, 34, 34, 0), "{tally:?}");
    let steady_bits = tally.viewer_rate.percentile(50.0) as f64 * 1.5;
    let all_bits = tally.bytes as f64 * 8.0;
    assert!(
        all_bits < steady_bits * 36.0,
        "six viewers took less than two: {all_bits} of {steady_bits} each"
    );
}

#[test]
fn a_refusal_is_counted_with_its_reason() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let mut audience = audience(format!("http://{address}/x.flv"), 3);
    audience.duration = Duration::from_millis(200);
    let tally: &Tally = &view(&audience).tallies[0];
    assert_eq!(tally.disconnects.get("HTTP 404 Not Found before any media"), Some(&3), "{tally:?}");
    assert_eq!(tally.playing, 0);
}

#[test]
fn a_redirect_is_followed() {
    let measured = with_floor(Duration::ZERO, |address| {
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x.flv", front.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in front.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nLocation: http://{address}/y.flv\r\nContent-Length: 0\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        view(&audience(url, 5))
    });
    assert_eq!((measured.tallies[0].playing, measured.tallies[0].disconnected()), (5, 0));
}

#[test]
fn a_closed_port_is_an_error_that_says_what_to_do() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let line = ["load", "view", "--url", &format!("http://127.0.0.1:{port}/x.flv")].map(str::to_owned);
    let error = crate::run(parse(&line)).unwrap_err();
    assert!(error.to_string().contains("Is the server running?"), "{error:#}");
}

#[test]
fn a_failed_gate_makes_the_verdict() {
    let verdict = with_floor(Duration::ZERO, |address| {
        let url = format!("http://{address}/x.flv");
        let line =
            ["load", "view", "--url", &url, "-n", "5", "--warmup", "100ms", "--duration", "500ms", "-q"];
        let gates = ["--min-playing", "100%", "--max-first-media-p95", "0"];
        crate::run(parse(&line.iter().chain(&gates).map(|word| (*word).to_owned()).collect::<Vec<_>>()))
            .unwrap()
    });
    assert!(!verdict.passed());
    assert_eq!(verdict.failures.len(), 1, "{verdict:?}");
    assert!(verdict.failures[0].starts_with("FAIL  --max-first-media-p95"));
}

#[test]
fn two_processes_add_up_to_one_crowd() {
    // The workers are this very test, started again with the place where the floor listens in their environment's
    // stead: their command line.
    const URL: &str = "FLOODTIDE_LOAD_TEST_URL_";
    let name = "tests::two_processes_add_up_to_one_crowd";
    if let Some(share) = Share::from_environment().unwrap() {
        let url = std::env::args().find_map(|word| word.strip_prefix(URL).map(str::to_owned)).unwrap();
        let audience = audience(url, 21);
        let profiles = profiles(&audience.urls, &[], None, 1935).unwrap();
        let plan = ViewPlan { audience: &audience, profiles: &profiles, again: None };
        let measured = plan.watch(share, &mut crate::processes::ToParent).unwrap();
        return crate::processes::ToParent::hand_over(measured).unwrap();
    }
    let measured = with_floor(Duration::ZERO, |address| {
        let url = format!("http://{address}/x.flv");
        let words = ["--exact", name, "--nocapture", "--skip", &format!("{URL}{url}")];
        let again = Again {
            program: std::env::current_exe().unwrap(),
            arguments: words.iter().map(std::ffi::OsString::from).collect(),
        };
        let mut audience = audience(url, 21);
        audience.processes = 2;
        let profiles = profiles(&audience.urls, &[], None, 1935).unwrap();
        let plan = ViewPlan { audience: &audience, profiles: &profiles, again: Some(again) };
        let _ = ProgressLine::new(1, true);
        plan.measure(true).unwrap().0
    });
    assert_eq!((measured.tallies[0].viewers, measured.tallies[0].playing), (21, 21));
}

fn parse(words: &[String]) -> crate::Args {
    use clap::Parser;
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: crate::Args,
    }
    Line::try_parse_from(words).unwrap().args
}

mod low_latency;
