//! What tidy refuses, shown on small trees, and that the project itself is in order.

mod fixture;

use fixture::Fixture;

#[test]
fn a_tree_in_order_has_nothing_to_mend() {
    let fixture = Fixture::new("in-order");
    assert_eq!(fixture.violations(), Vec::<String>::new());
}

#[test]
fn a_wire_crate_that_sees_our_frames_is_refused() {
    let fixture = Fixture::new("wire").dependency("rtmp", "media = { path = \"../media\" }");
    fixture.refuses("crates/rtmp/Cargo.toml:9: floors: rtmp depends on media");
}

#[test]
fn containers_know_frames_and_the_hub_does_not_know_containers() {
    Fixture::new("mux").dependency("mux", "media = { path = \"../media\" }").accepts();
    let fixture = Fixture::new("hub").dependency("hub", "mux = { path = \"../mux\" }");
    fixture.refuses("floors: hub depends on mux");
}

#[test]
fn tests_of_a_pure_crate_may_use_the_testkit_but_its_code_may_not() {
    let kit = "testkit = { path = \"../testkit\" }";
    Fixture::new("kit-dev")
        .append("crates/media/Cargo.toml", &format!("[dev-dependencies]\n{kit}\n"))
        .accepts();
    Fixture::new("kit").dependency("media", kit).refuses("floors: media depends on testkit");
}

#[test]
fn tokio_stays_on_the_top_floor_and_the_hub_has_only_its_sync() {
    let tokio = |features: &str| format!("tokio = {{ version = \"1\", features = [{features}] }}");
    Fixture::new("tokio-pure").dependency("media", &tokio("")).refuses("floors: media depends on tokio");
    Fixture::new("tokio-sync").dependency("hub", &tokio("\"sync\"")).accepts();
    let fixture = Fixture::new("tokio-time").dependency("hub", &tokio("\"sync\", \"time\""));
    fixture.refuses("floors: hub has tokio with time");
    let feature = "[features]\nslow = [\"tokio/rt\"]\n";
    let fixture = Fixture::new("tokio-feature")
        .dependency("hub", &tokio("\"sync\""))
        .append("crates/hub/Cargo.toml", feature);
    fixture.refuses("floors: hub has tokio with rt");
}

#[test]
fn sockets_and_random_sources_stay_on_the_top_floor() {
    Fixture::new("rand").dependency("mux", "rand = \"0.9\"").refuses("floors: mux depends on rand");
}

#[test]
fn a_crate_without_a_floor_is_refused() {
    Fixture::new("floorless")
        .package("attic")
        .refuses("crates/attic/Cargo.toml:1: floors: crate attic has no floor");
}

#[test]
fn a_pure_crate_without_the_clock_lints_is_refused() {
    let fixture = Fixture::new("no-lints").remove("crates/media/clippy.toml");
    fixture.refuses("clocks: media is pure and has no clippy.toml");
    let fixture =
        Fixture::new("weak-lints").write("crates/media/clippy.toml", "too-many-lines-threshold = 90\n");
    fixture.refuses("clocks: disallowed-methods does not name std::time::Instant::now");
    fixture.refuses("clocks: disallowed-methods does not name std::fs::read");
    fixture.refuses("clocks: disallowed-types does not name std::net::UdpSocket");
    fixture.refuses("crates/media/clippy.toml:1: clocks: too-many-lines-threshold differs");
    let fixture = Fixture::new("allowed").append(
        "crates/media/src/lib.rs",
        "#[expect(clippy::disallowed_methods, reason = \"just once\")]\nfn now() {}\n",
    );
    fixture.refuses("crates/media/src/lib.rs:2: clocks: a pure crate switches off the lint");
}

#[test]
fn a_clock_in_a_pure_crate_is_refused_and_on_the_top_floor_it_is_not() {
    let code = "fn f(then: Instant) { let _ = std::time::Instant::now(); then.elapsed(); }\n";
    Fixture::new("clock")
        .write("crates/hub/src/a.rs", code)
        .refuses("a.rs:1: clocks: a pure crate reads a clock");
    Fixture::new("top-clock").write("crates/node/src/a.rs", code).accepts();
}

#[test]
fn files_sockets_and_threads_in_a_pure_crate_are_refused_and_on_the_top_floor_they_are_not() {
    for (name, code, expect) in [
        ("fs", "use std::fs;\n", "a pure crate opens files"),
        ("tcp", "use std::net::{SocketAddr, TcpStream};\n", "a pure crate names a socket"),
        ("udp", "fn f(socket: &std::net::UdpSocket) {}\n", "a pure crate names a socket"),
        ("thread", "fn f() { let _ = thread::spawn(g); }\n", "a pure crate starts a thread"),
        ("lint", "#[allow(clippy::disallowed_types)]\n", "a pure crate switches off the lint"),
    ] {
        let file = |package: &str| format!("crates/{package}/src/a.rs");
        Fixture::new(name).write(&file("srt"), code).refuses(&format!("a.rs:1: clocks: {expect}"));
        Fixture::new(name).write(&file("node"), code).accepts();
    }
    Fixture::new("address").write("crates/srt/src/a.rs", "use std::net::SocketAddr;\n").accepts();
}

#[test]
fn a_file_of_700_code_lines_is_refused_and_comments_do_not_count() {
    let code = "const A: u8 = 1;\n".repeat(700);
    Fixture::new("700")
        .write("crates/media/src/long.rs", &code)
        .refuses("long.rs:1: sizes: 700 code lines, 600 allowed");
    let comments = "// Why.\n\n".repeat(700);
    Fixture::new("comments").write("crates/media/src/long.rs", &comments).accepts();
    let script = "let a = 1;\n".repeat(700);
    Fixture::new("script").write("web/player.js", &script).refuses("web/player.js:1: sizes: 700 code lines");
}

#[test]
fn long_inline_tests_and_a_long_main_are_refused() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    const A: u8 = 1;\n".repeat(150));
    Fixture::new("tests")
        .write("crates/media/src/a.rs", &tests)
        .refuses("a.rs:1: sizes: 153 lines of inline tests");
    let main = format!("fn main() {{\n{}}}\n", "    work();\n".repeat(28));
    Fixture::new("main")
        .write("crates/floodtide/src/main.rs", &main)
        .refuses("sizes: main.rs has 30 code lines");
}

#[test]
fn words_without_meaning_are_refused_outside_the_wire() {
    let check = |name: &str, code: &str, expect: &str| {
        Fixture::new(name).write("crates/hub/src/a.rs", code).refuses(expect);
    };
    check("stream", "pub struct Stream;\n", "crates/hub/src/a.rs:1: names: a type called Stream");
    check("packet", "//! A.\n\nenum Packet {}\n", "crates/hub/src/a.rs:3: names: a type called Packet");
    check("get", "fn get_size() {}\n", "names: fn get_size");
    check("do", "fn do_it() {}\n", "names: fn do_it");
    check("process", "fn process() {}\n", "names: fn process");
    check("manager", "struct RoomManager;\n", "names: RoomManager");
    check("stub", concat!("fn a() { to", "do!() }\n"), "stubs: todo! stands");
    Fixture::new("wire-words").write("crates/rtmp/src/a.rs", "pub struct Stream;\n").accepts();
    Fixture::new("in-comment").write("crates/hub/src/a.rs", "// struct Stream, fn get_it\n").accepts();
    Fixture::new("util").write("crates/hub/src/util.rs", "").refuses("names: a module called util");
}

#[test]
fn channels_without_a_bound_and_detached_tasks_are_refused() {
    let check = |name: &str, code: &str, expect: &str| {
        Fixture::new(name).write("crates/node/src/a.rs", code).refuses(expect);
    };
    check("tokio-channel", "fn a() { mpsc::unbounded_channel(); }\n", "bounds: unbounded_channel");
    check("std-channel", "fn a() { mpsc::channel::<Vec<u8>>(); }\n", "bounds: channel has no bound");
    check("task", "fn a() { tokio::spawn(work()); }\n", "tasks: a task that nobody waits for");
    let fine = "fn a() { let t = tokio::spawn(work(b())); mpsc::channel(MESSAGES_MAX); }\n";
    Fixture::new("bounded").write("crates/node/src/a.rs", fine).accepts();
}

#[test]
fn a_gateway_that_names_another_protocol_is_refused() {
    let file = "crates/node/src/gateway/rtmp/play.rs";
    let fixture = Fixture::new("two-protocols").write(file, "use mux::flv;\nuse crate::gateway::http;\n");
    fixture.refuses("crates/node/src/gateway/rtmp/play.rs:2: protocols: http names http beside rtmp");
    Fixture::new("contents").write("crates/node/src/gateway/mod.rs", "mod http;\nmod rtmp;\n").accepts();
}

#[test]
fn links_to_nowhere_and_paths_of_one_machine_are_refused() {
    let fixture = Fixture::new("links").write("docs/a.md", "[a](../README.md)\n[b](gone.md)\n");
    fixture.refuses("docs/a.md:2: links: gone.md is not there");
    let path = format!("cd {}me/ann/floodtide\n", "/ho");
    Fixture::new("machine").write("scripts/a.sh", &path).refuses("scripts/a.sh:1: machine: a path below");
}

#[test]
fn clippy_refuses_clocks_files_sockets_and_threads_under_the_lints_of_every_pure_crate() {
    let refused = [
        "let _ = std::time::Instant::now();",
        "let _ = std::time::SystemTime::now();",
        "std::thread::sleep(std::time::Duration::ZERO);",
        "let _ = std::fs::read(\"a\");",
        "let _ = std::fs::read_to_string(\"a\");",
        "let _ = std::fs::write(\"a\", \"b\");",
        "let _ = std::fs::File::open(\"a\");",
        "let _ = std::fs::OpenOptions::new().read(true).open(\"a\");",
        "let _ = std::net::TcpStream::connect(\"a:1\");",
        "let _ = std::net::TcpListener::bind(\"a:1\");",
        "let _ = std::net::UdpSocket::bind(\"a:1\");",
        "let _ = std::process::Command::new(\"a\").status();",
        "let _ = std::thread::spawn(|| ());",
        "let _ = std::thread::Builder::new().spawn(|| ());",
    ];
    let function = |(n, call): (usize, &&str)| format!("/// A.\npub fn f{n}() {{\n{call}\n}}\n");
    let code: String = refused.iter().enumerate().map(function).collect();
    let clean = "let _ = (std::time::Duration::ZERO, std::net::Ipv4Addr::LOCALHOST);";
    for name in ["media", "mux", "hls", "rtmp", "srt", "hub", "testkit"] {
        let lints = fixture::project().join("crates").join(name).join("clippy.toml");
        let (passed, said) = Fixture::lone("banned", &lints, &format!("//! A.\n{code}")).clippy();
        assert!(!passed, "{name}");
        // The calls are in lines 4, 8, 12 and so on.
        for (n, call) in refused.iter().enumerate() {
            assert!(said.contains(&format!("src/lib.rs:{}:", 4 + 4 * n)), "{name}: {call} passes\n{said}");
        }
        let (passed, said) =
            Fixture::lone("clean", &lints, &format!("//! A.\n{}", function((0, &clean)))).clippy();
        assert!(passed, "{name}: {clean}\n{said}");
    }
}

#[test]
fn the_project_itself_has_nothing_to_mend() {
    let found = xtask::tidy::check(&fixture::project()).unwrap();
    assert!(found.is_empty(), "{}", found.iter().map(|v| format!("{v}\n")).collect::<String>());
}
