"""What every scenario needs: servers, publishers, crowds, and the numbers of a process. Standard library only."""

import base64
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RTMP, HTTP, ADMIN, WEBRTC, SRT = 19350, 18080, 19080, 18000, 18100
START_SECONDS_MAX = 15


class Guard:
    """What clients show, and the server that asks for it: keys, tokens, limits per address and a line for every request."""

    on = False
    SECRET = "a-secret-for-the-benchmarks-of-32-bytes"
    KEY = "a-key-for-the-benchmarks"
    CONFIG = f"""
publish.stream_key = "{KEY}"
play.access = "credential"
limits = {{ exempt = [], connections_per_address = 30000, new_connections_per_address = 30000, requests_per_address = 300000 }}
log.access = "requests"
[[auth.jwt]]
secret = "{SECRET}"
"""

    @classmethod
    def token(cls) -> str:
        def part(data: bytes) -> str:
            return base64.urlsafe_b64encode(data).decode().rstrip("=")

        claims = {"exp": int(time.time()) + 86_400, "act": "play", "path": "live/**"}
        signed = ".".join(part(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{signed}.{part(hmac.digest(cls.SECRET.encode(), signed.encode(), 'sha256'))}"

    @classmethod
    def shown(cls, url: str, what: str) -> str:
        """A URL with what is needed there."""
        if not cls.on:
            return url
        return f"{url}{'&' if '?' in url else '?'}{what}"


def binary() -> str:
    """The release build, unless FLOODTIDE names another."""
    path = os.environ.get("FLOODTIDE", str(ROOT / "target/release/floodtide"))
    if not os.access(path, os.X_OK):
        sys.exit(f"bench: {path} is not there; build it with: cargo build --release -p floodtide")
    return path


def clip(name: str, seconds: int = 60) -> str:
    folder = ROOT / "target/bench/clips"
    subprocess.run([ROOT / "bench/make-clips.sh", folder, str(seconds)], check=True)
    return str(folder / f"{name}.flv")


def enter_network_namespace() -> None:
    """Runs the rest in a network of its own (root only), so that ports and addresses are free and nobody else's."""
    if os.environ.get("BENCH_IN_NETNS") or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    up = "ip link set lo up; sysctl -qw net.ipv4.ip_local_port_range='10240 65000' net.core.somaxconn=8192 || true"
    os.environ["BENCH_IN_NETNS"] = "1"
    inner = f'{up}; ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"'
    os.execvp("unshare", ["unshare", "--net", "bash", "-c", inner, sys.executable, *sys.argv])


class Process:
    """A child that ends with the block it was started in."""

    def __init__(self, command, log, cwd=None):
        self.log = open(log, "wb")
        self.child = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=cwd)
        self.pid = self.child.pid
        self.name = Path(str(command[0])).name

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.log.close()


@contextmanager
def running(command, port, cwd=None):
    """A server that listens on `port`."""
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        log = Path(folder) / "log"
        process = Process(command, log, cwd)
        try:
            wait_for_port(port, process, log)
            yield process
        finally:
            process.stop()


def wait_for_port(port, process, log) -> None:
    import socket

    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end:
        if process.child.poll() is not None:
            sys.exit(f"bench: {process.name} ended at once:\n{log.read_text()[-800:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"bench: {process.name} does not listen on {port}")


@contextmanager
def floodtide(window="adaptive", *more):
    """Floodtide on the benchmark's ports, open to everybody on this machine, or with all that guards it."""
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        (Path(folder) / "floodtide.toml").write_text(f"{Guard.CONFIG}\n[state]\nfolder = '{folder}'\n")
        mode = ["serve", "--config", f"{folder}/floodtide.toml"] if Guard.on else ["demo", "--no-clip"]
        with serving(mode, window, *more) as server:
            yield server


def serving(mode, window, *more):
    command = [binary(), *mode, "--rtmp", f"127.0.0.1:{RTMP}", "--http", f"127.0.0.1:{HTTP}"]
    command += ["--admin", f"127.0.0.1:{ADMIN}", "--webrtc", f"127.0.0.1:{WEBRTC}"]
    command += ["--srt", f"127.0.0.1:{SRT}", "--merge-window", window, *more]
    return running(command, HTTP)


def floor(window, path):
    """The bare write loop."""
    command = [binary(), "load", "floor", "--listen", f"127.0.0.1:{HTTP}", "--file", path, "--window", window]
    return running(command, HTTP)


NGINX_RTMP = """load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log error; user root;
events {{ worker_connections 18000; }}
rtmp {{ access_log off; server {{ listen 127.0.0.1:{rtmp}; chunk_size 4096;
  application live {{ live on; wait_key on; wait_video on; }} }} }}
"""
NGINX_STATIC = """daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log error; user root;
events {{ worker_connections 18000; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=100;
  client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  server {{ listen 127.0.0.1:{http} backlog=4096; root www; }} }}
"""


@contextmanager
def nginx(kind, files=None):
    """The peer: `rtmp` relays broadcasts, `static` serves `files` (name to bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="nginx."))
    template, port = (NGINX_RTMP, RTMP) if kind == "rtmp" else (NGINX_STATIC, HTTP)
    (folder / "nginx.conf").write_text(template.format(rtmp=RTMP, http=HTTP))
    for sub in ("www", "t", "logs"):
        (folder / sub).mkdir()
    for name, content in (files or {}).items():
        (folder / "www" / name).write_bytes(content)
    try:
        with running(["/usr/sbin/nginx", "-p", str(folder), "-c", "nginx.conf"], port, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def publishing(path, count=1, per_second=50, url=f"rtmp://127.0.0.1:{RTMP}/live/x{{i}}", lead=3.0, lower=()):
    """Stamped publishers, `lead` seconds after the last of them began; by WHIP also with lower qualities."""
    command = [binary(), "load", "publish", "-q", "--url", Guard.shown(url, f"key={Guard.KEY}"), "--file", path, "--publishers", str(count)]
    command += ["--publish-ramp", str(per_second), *(word for one in lower for word in ("--lower", one))]
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        process = Process(command, Path(folder) / "log")
        try:
            time.sleep(lead + count / per_second)
            if process.child.poll() is not None:
                sys.exit(f"bench: the publisher ended: {(Path(folder) / 'log').read_text()[-800:]}")
            yield process
        finally:
            process.stop()


FLV = f"http://127.0.0.1:{HTTP}/live/x{{i}}.flv"
WHIP = f"http://127.0.0.1:{HTTP}/live/x{{i}}/whip"
WHEP = f"http://127.0.0.1:{HTTP}/live/x{{i}}/whep"
RTMP_PLAY = f"rtmp://127.0.0.1:{RTMP}/live/x{{i}}"
HLS = f"http://127.0.0.1:{HTTP}/live/x{{i}}/index.m3u8"


def crowd(url, viewers, pid, seconds, broadcasts=1, ramp=1000, warmup=3, extra=()) -> dict:
    """A crowd's result, as `floodtide load view --json` gives it."""
    url = Guard.shown(url, f"token={Guard.token()}")
    command = [binary(), "load", "view", "-q", "--url", url, "-n", str(viewers), "--broadcasts", str(broadcasts)]
    command += ["--ramp", str(ramp), "--warmup", f"{warmup}s", "--duration", f"{seconds}s", "--json", "-", *extra]
    if pid:
        command += ["--sample-pid", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120 + seconds * 4)
    if not done.stdout.lstrip().startswith("{"):
        sys.exit(f"bench: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


class Profile:
    """Whether it is shown where the time goes, which costs some of it."""

    on = False
    SYMBOLS = 12
    GROUPS = {"encryption": r"aws_lc|aead_|gcm|aes_|ghash", "sound coded anew": r"opus_|syom"}


@contextmanager
def profiled(server, after, seconds):
    """Where a server's time goes in the `seconds` that begin so long `after` this, if that is asked for; needs perf."""
    if not Profile.on:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        data = str(Path(folder) / "perf.data")
        command = ["perf", "record", "-q", "-F", "997", "-p", str(server.pid), "-D", str(int(after * 1000)), "-o", data]
        recorder = Process([*command, "sleep", str(after + seconds - 1)], Path(folder) / "log")
        yield
        recorder.child.wait(60)
        recorder.stop()
        show_profile(data)


def show_profile(data):
    report = ["perf", "report", "-q", "-i", data, "--no-children", "--sort", "symbol"]
    shown = subprocess.run(report, capture_output=True, text=True).stdout
    found = re.findall(r"^\s*([\d.]+)%\s+(\[.\] .*?)(?:\s+-)*\s*$", shown, re.M)
    shares = [(float(share), symbol) for share, symbol in found]
    groups = dict.fromkeys(["the kernel", *Profile.GROUPS, "the rest"], 0.0)
    for share, symbol in shares:
        inside = next((name for name, pattern in Profile.GROUPS.items() if re.search(pattern, symbol)), "the rest")
        groups["the kernel" if symbol.startswith("[k]") else inside] += share
    print("    " + ", ".join(f"{name} {share:.0f} %" for name, share in groups.items()))
    for share, symbol in shares[: Profile.SYMBOLS]:
        print(f"    {share:5.1f} %  {symbol}", flush=True)


@contextmanager
def watched_by(url, viewers, ramp=1000):
    """A crowd in the background that only reads, in a process of its own: what it is busy with isn't measured as the server's."""
    command = [binary(), "load", "view", "-q", "--url", Guard.shown(url, f"token={Guard.token()}"), "-n", str(viewers), "--broadcasts", "1"]
    command += ["--ramp", str(ramp), "--probe", "0", "--warmup", "1s", "--duration", "600s"]
    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        process = Process(command, Path(folder) / "log")
        try:
            time.sleep(2 + viewers / ramp)
            if process.child.poll() is not None:
                sys.exit(f"bench: the crowd ended: {(Path(folder) / 'log').read_text()[-800:]}")
            yield process
        finally:
            process.stop()


def http_bytes(path, timeout=20) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}{path}", timeout=timeout) as answer:
        return answer.read()


def histogram(name) -> list[tuple[float, float]]:
    """A histogram of /metrics as (upper bound, cumulative count)."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    buckets = [line for line in lines if line.startswith(f"{name}_bucket")]
    return [(float(b.split('le="')[1].split('"')[0].replace("+Inf", "inf")), float(b.split()[-1])) for b in buckets]


def quantile_bound(before, after, share) -> float:
    """The smallest bucket bound below which `share` of the observations between two readings lie."""
    counts = [(bound, late - early) for (bound, late), (_, early) in zip(after, before)]
    total = counts[-1][1]
    return next((bound for bound, count in counts if total and count >= share * total), float("inf"))


class Table:
    """Rows of: what, measured, reference, target. Printed as they come, and kept as JSON."""

    # Targets are for real sizes; a small run only shows that a scenario works.
    judges = True

    def __init__(self, name):
        self.name, self.rows = name, []
        print(f"\n{name}\n{'what':58} {'measured':>12} {'reference':>12} {'ratio':>7}  target", flush=True)

    def row(self, what, measured, unit, reference=None, target=None, at_most=True):
        ratio = measured / reference if reference else None
        target = target if self.judges else None
        judged = ratio if ratio is not None else measured
        holds = None if target is None else (judged <= target if at_most else judged >= target)
        shown = "" if target is None else f"{'≤' if at_most else '≥'} {target:g}{'×' if ratio else ''} {'ok' if holds else 'MISSED'}"
        left = f"{measured:.4g} {unit}"
        right = f"{reference:.4g} {unit}" if reference else ""
        print(f"{what:58} {left:>12} {right:>12} {f'{ratio:.2f}×' if ratio else '':>7}  {shown}", flush=True)
        self.rows.append(dict(what=what, measured=measured, unit=unit, reference=reference, ratio=ratio, target=target, holds=holds))

    def whole(self, what, result):
        """The result; a server that is cheap because it doesn't deliver proves nothing, so that is a row of its own."""
        total = result["total"]
        missing = max(total["silent"], total["viewers"] - total["playing"])
        if missing:
            self.row(f"{what}: viewers of {total['viewers']} that nothing came to", missing, "", target=0)
        return result

    def save(self):
        out = ROOT / "target/bench"
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{self.name}.json").write_text(json.dumps(self.rows, indent=1))
        return all(row["holds"] is not False for row in self.rows)


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
