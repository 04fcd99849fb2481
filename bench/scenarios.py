"""The scenarios. Each runs what it compares in alternation, in one run, and returns a table.

`scale` is 1 for the real figures; the smoke run of CI takes a small fraction, to see that everything still runs."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

import janus as peer
from machinery import *


def size(count, scale, least=4):
    return max(least, int(count * scale))


def cpu_per_gib(result):
    return result["server"]["cpu_seconds_per_gib"]


class Cells:
    """Which part of the fan-out table is measured; empty for all of it."""

    viewers: list[int] = []
    windows: list[str] = []


def fanout(scale, rounds):
    """HTTP-FLV and RTMP play against the bare write loop with the same merge window."""
    table, path = Table("fanout"), clip("main")
    seconds = max(3, int(10 * scale))
    for viewers in [size(v, scale) for v in Cells.viewers or ((1000, 2000, 4000) if scale > 0.1 else (1000,))]:
        memory = []
        windows = (("0ms", 1.15), ("40ms", 1.25), ("100ms", 1.25), ("350ms", 1.25))
        windows = [one for one in windows if not Cells.windows or one[0] in Cells.windows]
        for window, target in windows if scale > 0.1 else windows[2:3]:
            own, bare, play = [], [], []
            for _ in range(rounds):
                with floor(window, path) as server:
                    bare.append(cpu_per_gib(table.whole("the floor", crowd(FLV, viewers, server.pid, seconds))))
                with floodtide(window) as server, publishing(path):
                    result = table.whole("HTTP-FLV", crowd(FLV, viewers, server.pid, seconds))
                    own.append(cpu_per_gib(result))
                    memory.append(result["server"]["rss_kib_per_viewer"])
                with floodtide(window) as server, publishing(path):
                    result = table.whole("RTMP play", crowd(RTMP_PLAY, viewers, server.pid, seconds))
                    play.append(cpu_per_gib(result))
                    memory.append(result["server"]["rss_kib_per_viewer"])
            table.row(f"HTTP-FLV, {viewers} viewers, window {window}", median(own), "s/GiB", median(bare), target)
            table.row(f"RTMP play, {viewers} viewers, window {window}", median(play), "s/GiB", median(bare), 1.35)
        # The largest of all runs, HTTP-FLV and RTMP. What a server holds whatever the crowd weighs little only in a large one.
        table.row(f"memory per viewer at {viewers}", max(memory), "KiB", target=8 if viewers >= 4000 else None)
    return table


def crowd_of_8000(scale, rounds):
    """The adaptive window with a crowd, and with a hundred."""
    table, path = Table("crowd"), clip("main")
    many, few, seconds = size(8000, scale), size(100, scale), max(4, int(20 * scale))
    with floodtide() as server, publishing(path):
        processes = ("--processes", "2") if many > 4000 else ()
        result = table.whole("HTTP-FLV", crowd(FLV, many, server.pid, seconds, ramp=2000, warmup=5, extra=processes))
        table.row(f"CPU at {many} viewers, adaptive window", result["server"]["cpu_percent"], "%", target=100)
        table.row("viewers that stalled", result["total"]["stalled_viewers"], "", target=0)
        table.row("silent viewers", result["total"]["silent"], "", target=0)
        table.row("memory per viewer", result["server"]["rss_kib_per_viewer"], "KiB", target=8)
    with floodtide() as server, publishing(path):
        before = histogram("floodtide_frame_age_seconds")
        result = table.whole("HTTP-FLV", crowd(FLV, few, server.pid, seconds, ramp=100, extra=("--probe", "10", "--tick", "1ms")))
        after = histogram("floodtide_frame_age_seconds")
        table.row(f"frame age at {few} viewers, P99, at the viewer", result["total"]["frame_age_ms"]["p99"], "ms")
        table.row(f"added by the server at {few} viewers, P99 at most", quantile_bound(before, after, 0.99) * 1000, "ms", target=20)
    return table


def joining(scale, rounds):
    """A crowd that joins within two seconds."""
    table, path = Table("joining"), clip("main")
    viewers = size(4000, scale)
    with floodtide() as server, publishing(path):
        result = crowd(FLV, viewers, server.pid, max(3, int(6 * scale)), ramp=max(10, viewers // 2), warmup=2)
        table.row(f"first media byte, {viewers} viewers joining in 2 s, P95", result["total"]["first_media_ms"]["p95"], "ms", target=250)
        table.row("silent viewers", result["total"]["silent"], "", target=0)
    return table


def publishers(scale, rounds):
    """A hundred publishers a second for three seconds: every one playable."""
    table, path = Table("publishers"), clip("light")
    count = size(300, scale, 10)
    with floodtide() as server, publishing(path, count, per_second=100, lead=2):
        result = crowd(FLV, count, server.pid, max(3, int(6 * scale)), broadcasts=count, ramp=200)
        table.row(f"broadcasts of {count} that play", result["total"]["playing"], "", target=count, at_most=False)
        table.row("first media byte, P95", result["total"]["first_media_ms"]["p95"], "ms")
    return table


def latency(scale, rounds):
    """What the server adds, by its own histogram and from outside: ten of the viewers are a process of their own that reads at once."""
    table, path = Table("latency"), clip("main")
    probes, seconds = 10, max(4, int(15 * scale))
    viewers = size(1000, scale, probes + 4)

    def outside(server):
        extra = ("--probe", str(probes), "--tick", "1ms")
        return table.whole("HTTP-FLV", crowd(FLV, probes, server.pid, seconds, extra=extra))["total"]["frame_age_ms"]["p99"]

    for window, milliseconds in (("0ms", 0), ("40ms", 40), ("100ms", 100)) if scale > 0.1 else (("40ms", 40),):
        inside, own, bare = [], [], []
        for _ in range(rounds):
            with floodtide(window) as server, publishing(path), watched_by(FLV.format(i=0), viewers - probes):
                before = histogram("floodtide_frame_age_seconds")
                own.append(outside(server))
                inside.append(quantile_bound(before, histogram("floodtide_frame_age_seconds"), 0.99) * 1000)
            with floor(window, path) as server, watched_by(FLV.format(i=0), viewers - probes):
                bare.append(outside(server))
        target = 10 + milliseconds
        table.row(f"arrival to write, {viewers} viewers, window {window}, P99 at most", median(inside), "ms", target=target)
        table.row(f"publisher to viewer, {viewers} viewers, window {window}, P99", median(own), "ms", target=target)
        table.row("the same from the bare write loop", median(bare), "ms")
    return table


def broadcasts(scale, rounds):
    """Many broadcasts with one viewer each, against nginx-rtmp; and how the cost of one grows with their number."""
    table, path = Table("broadcasts"), clip("light")
    count, seconds = size(200, scale), max(4, int(12 * scale))
    own, peer, inside, outside = [], [], [], []

    def watched(server):
        return table.whole("RTMP play", crowd(RTMP_PLAY, count, server.pid, seconds, broadcasts=count, ramp=200))

    for _ in range(rounds):
        with floodtide() as server, publishing(path, count):
            before = histogram("floodtide_frame_age_seconds")
            result = watched(server)
            own.append(cpu_per_gib(result))
            inside.append(quantile_bound(before, histogram("floodtide_frame_age_seconds"), 0.99) * 1000)
            outside.append(result["total"]["frame_age_ms"]["p99"])
        with nginx("rtmp") as server, publishing(path, count):
            peer.append(cpu_per_gib(watched(server)))
    table.row(f"{count} broadcasts with one RTMP viewer each, against nginx-rtmp", median(own), "s/GiB", median(peer), 1.0)
    # 10 ms and the merge window of so many broadcasts, 58 ms; the histogram's next bound is 75.
    table.row("arrival to write there, P99 at most", median(inside), "ms", target=75)
    table.row("publisher to viewer there, P99", median(outside), "ms")
    each = {}
    for many in (size(30, scale), size(300, scale, 10)):
        costs = []
        for _ in range(rounds):
            with floodtide() as server, publishing(path, many):
                result = crowd(FLV, many, server.pid, seconds, broadcasts=many, ramp=200)
                costs.append(result["server"]["cpu_seconds"] / result["window_seconds"] / many * 1000)
        each[many] = median(costs)
    few, many = sorted(each)
    table.row(f"CPU of a broadcast at {many}, against one at {few}", each[many], "ms/s", each[few], 1.3)
    return table


def segments(scale, rounds):
    """HLS files against nginx serving the same bytes; needs wrk."""
    table, path = Table("segments"), clip("main")
    if not shutil.which("wrk"):
        print("  wrk is not installed; skipped")
        return table
    seconds = max(2, int(6 * scale))
    costs = dict(own=[], nginx=[])
    for _ in range(rounds):
        with floodtide() as server, publishing(path, lead=8):
            # Playlists name files together with what opens them.
            playlist = Guard.shown("/live/x0/video/index.m3u8", f"token={Guard.token()}")
            http_bytes(playlist)
            time.sleep(5)
            name = re.findall(r"^seg-.*", http_bytes(playlist).decode(), re.M)[-1]
            segment = f"/live/x0/video/{name}"
            files = {"seg.m4s": http_bytes(segment), "index.m3u8": http_bytes(playlist)}
            costs["own"].append((wrk(segment, server, seconds), wrk(playlist, server, seconds)))
        with nginx("static", files) as server:
            costs["nginx"].append((wrk("/seg.m4s", server, seconds), wrk("/index.m3u8", server, seconds)))
    for index, (what, target) in enumerate(((f"segment of {len(files['seg.m4s'])} bytes", 1.5), ("playlist", 2.0))):
        own, peer = (median([c[index] for c in costs[k]]) for k in ("own", "nginx"))
        table.row(f"CPU per request of a {what}, against nginx", own * 1e6, "µs", peer * 1e6, target)
    return table


def wrk(path, server, seconds):
    """CPU seconds of the server per request."""
    before = server.cpu_seconds()
    shown = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{HTTP}{path}"], capture_output=True, text=True).stdout
    spent = server.cpu_seconds() - before
    if "Non-2xx" in shown or "Socket errors" in shown:
        sys.exit(f"bench: {path}: {shown}")
    return spent / int(re.search(r"(\d+) requests in", shown).group(1))


def blocking(scale, rounds):
    """Blocking playlist requests that all wait for the same part."""
    table, path = Table("blocking"), clip("main")
    count = size(5000, scale)
    with floodtide() as server, publishing(path):
        playlist = Guard.shown("/live/x0/video/index.m3u8", f"token={Guard.token()}")
        http_bytes(playlist)
        waits = blocked(playlist, count, server)
        answered = [w for w in waits if w is not None]
        table.row(f"answers to {count} requests", len(answered), "", target=count, at_most=False)
        ordered = sorted(answered) or [float("inf")]
        table.row("after the first of them, P50", ordered[len(ordered) // 2] * 1000, "ms")
        table.row("after the first of them, last (a part is 500 ms)", ordered[-1] * 1000, "ms", target=500)
        for count in (1, 10, 100):
            spread = [max(w for w in blocked(playlist, count, server) if w is not None) for _ in range(3 if scale > 0.1 else 1)]
            table.row(f"last of {count} after the first", median(spread) * 1000, "ms", target=30)
    return table


def blocked(playlist, count, server):
    """When each of `count` requests for a part of the near future was answered, in seconds after the first answer."""
    import selectors
    import socket

    text = http_bytes(playlist).decode()
    msn, part = map(int, re.search(r'PRELOAD-HINT:TYPE=PART,URI="part-(\d+)-(\d+)', text).groups())
    # Far enough ahead that all requests are there before the part is: the segment after the next.
    request = f"GET {playlist}{'&' if '?' in playlist else '?'}_HLS_msn={msn + 1}&_HLS_part=3 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    selector, sockets = selectors.DefaultSelector(), []
    for n in range(count):
        s = socket.socket()
        s.bind((f"127.0.1.{1 + n % 8}", 0))
        s.connect(("127.0.0.1", HTTP))
        s.sendall(request)
        s.setblocking(False)
        selector.register(s, selectors.EVENT_READ, n)
        sockets.append(s)
    answered, end = [None] * count, time.monotonic() + 15
    while None in answered and time.monotonic() < end:
        for key, _ in selector.select(1):
            data = key.fileobj.recv(65536)
            if data.startswith(b"HTTP/1.1 200") and answered[key.data] is None:
                answered[key.data] = time.monotonic()
                selector.unregister(key.fileobj)
    for s in sockets:
        s.close()
    first = min((t for t in answered if t), default=0)
    return [t and t - first for t in answered]


def churn(scale, rounds):
    """Broadcasts created and destroyed; memory stays flat once the allocator has seen what there is to see."""
    table, path = Table("churn"), clip("light")
    cycles, steps = size(10_000, scale, 60), 10 if scale > 0.1 else 2
    with floodtide() as server:
        cycle(cycles, path)
        readings = []
        for _ in range(steps):
            cycle(cycles // steps, path)
            readings.append(server.rss_kib() / 1024)
        early, late = mean(readings[: steps // 2]), mean(readings[steps // 2 :])
        live = live_broadcasts()
        table.row(f"RSS over {cycles} broadcasts after as many, second half against first", late, "MiB", early, 1.05)
        table.row("broadcasts left after their grace", live, "", target=0)
    return table


def mean(values):
    return sum(values) / len(values)


def metrics():
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/metrics", timeout=5) as answer:
        return answer.read().decode()


def live_broadcasts():
    """Live ones, and those that wait for their publisher."""
    return sum(int(count) for count in re.findall(r"^floodtide_broadcasts{[^}]*} (\d+)", metrics(), re.MULTILINE))


def cycle(count, path):
    """Publishes `count` broadcasts of half a second each, a hundred at a time, and waits until they are over."""
    done, group = 0, 0
    while done < count:
        now = min(200, count - done)
        url = Guard.shown(f"rtmp://127.0.0.1:{RTMP}/live/g{group}x{{i}}", f"key={Guard.KEY}")
        command = [binary(), "load", "publish", "-q", "--url", url, "--file", path]
        command += ["--publishers", str(now), "--publish-ramp", "400", "--duration", "1s"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)
        done, group = done + now, group + 1
    end = time.monotonic() + 20
    while time.monotonic() < end and live_broadcasts():
        time.sleep(0.25)


def whep(scale, rounds):
    """Viewers by WebRTC at 600 kbit/s who decrypt all they get: what one core serves, how late, and where the time goes."""
    table, path = Table("whep"), clip("talk")
    seconds, all_memory = max(4, int(20 * scale)), {}
    for viewers in [size(count, scale) for count in ((100, 400, 800, 1200) if scale > 0.1 else (400,))]:
        with floodtide() as server, publishing(path):
            before = histogram("floodtide_frame_age_seconds")
            with profiled(server, 6 + viewers / 100, seconds):
                result = table.whole("WHEP", crowd(WHEP, viewers, server.pid, seconds, ramp=100, warmup=6))
            after = histogram("floodtide_frame_age_seconds")
        paid, total = result["server"], result["total"]
        packets = total["packets"] * total["bytes"] / max(total["bytes_total"], 1)
        table.row(f"WHEP viewers per core, at {viewers}", per_core(viewers, paid), "", target=1200, at_most=False)
        table.row("CPU per packet of pictures", paid["cpu_seconds"] * 1e6 / max(packets, 1), "µs")
        all_memory[viewers] = paid["rss_kib_per_viewer"] * viewers
        # What a server holds whatever the crowd weighs little only in a large one.
        table.row("memory per viewer", paid["rss_kib_per_viewer"], "KiB", target=64 if viewers >= 800 else None)
        table.row("added by the server, P99 at most", quantile_bound(before, after, 0.99) * 1000, "ms", target=20)
        table.row("packets of pictures that never came", total["packets_lost"] * 100 / max(total["packets"], 1), "%", target=1)
        table.row("viewers that stalled", total["stalled_viewers"], "", target=0)
        table.row("the generator's own CPU", result["generator"]["cpu_percent"], "%")
    if len(all_memory) > 1:
        (few, least), (many, most) = min(all_memory.items()), max(all_memory.items())
        table.row(f"memory of each viewer more, from {few} to {many}", (most - least) / (many - few), "KiB", target=64)
    return table


def simulcast(scale, rounds):
    """What it costs that the network of each viewer is measured: viewers by WebRTC of a publisher with two qualities, against those of the
    same publisher with one. It publishes by WHIP, so its sound is silence, which is nobody's work."""
    table, seconds = Table("simulcast"), max(4, int(20 * scale))
    for viewers in [size(count, scale) for count in ((100, 400) if scale > 0.1 else (400,))]:
        plain, plain_added, _ = by_whip(table, viewers, seconds, [])
        result, added, rates = by_whip(table, viewers, seconds, [clip("light")])
        (paid, total), before = (result["server"], result["total"]), plain["server"]
        table.row(f"measured WHEP viewers per core, at {viewers}", per_core(viewers, paid), "", per_core(viewers, before))
        table.row("memory per viewer", paid["rss_kib_per_viewer"], "KiB", before["rss_kib_per_viewer"])
        table.row("added by the server, P99 at most", added, "ms", plain_added)
        table.row("packets of pictures that never came", total["packets_lost"] * 100 / max(total["packets"], 1), "%")
        table.row("viewers that stalled", total["stalled_viewers"], "")
        # Far below it, they had the other one.
        table.row("what a viewer gets, P50, against the better quality", total["viewer_kbit_per_second"]["p50"], "kbit/s", max(rates))
        table.row("the generator's own CPU", result["generator"]["cpu_percent"], "%")
    return table


def per_core(viewers, paid):
    return viewers / max(paid["cpu_percent"] / 100, 1e-9)


def by_whip(table, viewers, seconds, lower):
    """Viewers of a publisher by WHIP: the crowd's result, P99 of what the server added in ms, and the rates of its qualities."""
    with floodtide() as server, publishing(clip("talk"), url=WHIP, lower=lower):
        rates = qualities("live/x0", 1 + len(lower)) if lower else []
        before = histogram("floodtide_frame_age_seconds")
        with profiled(server, 6 + viewers / 100, seconds):
            what = "WHEP, measured" if lower else "WHEP"
            result = table.whole(what, crowd(WHEP, viewers, server.pid, seconds, ramp=100, warmup=6))
        after = histogram("floodtide_frame_age_seconds")
    return result, quantile_bound(before, after, 0.99) * 1000, rates


def qualities(path, count):
    """The rates of a publisher's pictures, kbit/s, once so many qualities are measured: with fewer no viewer's network would be."""
    url, end = f"http://127.0.0.1:{ADMIN}/v1/broadcasts/{path.replace('/', '%2F')}", time.monotonic() + 10
    while time.monotonic() < end:
        with urllib.request.urlopen(url, timeout=5) as answer:
            rates = [one["kbit_s"] for one in json.load(answer)["renditions"]]
        if len(rates) == count:
            return rates
        time.sleep(0.25)
    sys.exit(f"bench: {path} has the qualities {rates} kbit/s, which should be {count}")


def janus(scale, rounds):
    """WHEP against Janus with the same pictures and sound, at its best: as many threads for all viewers as there are cores."""
    table, path, viewers = Table("janus"), clip("talk"), size(300, scale)
    if not os.environ.get("BENCH_IN_NETNS"):
        print("  left out: Janus needs an address that isn't loopback, in a network of the benchmark's own; run this as root")
        return table
    own, theirs, memory = [], [], []
    for _ in range(rounds):
        with floodtide() as server, publishing(path):
            paid = table.whole("WHEP", crowd(WHEP, viewers, server.pid, max(4, int(15 * scale)), ramp=50, warmup=6))["server"]
            own.append(viewers * 100 / max(paid["cpu_percent"], 1e-9))
        with peer.janus(path, os.cpu_count()) as server:
            paid = table.whole("Janus", crowd(peer.WHEP, viewers, server.pid, max(4, int(15 * scale)), ramp=50, warmup=6))["server"]
            theirs.append(viewers * 100 / max(paid["cpu_percent"], 1e-9))
            memory.append(paid["rss_kib_per_viewer"])
    table.row(f"viewers per core, at {viewers}, against Janus", median(own), "", median(theirs), target=2, at_most=False)
    table.row("memory per viewer of Janus", median(memory), "KiB")
    return table


SCENARIOS = dict(
    fanout=fanout,
    crowd=crowd_of_8000,
    joining=joining,
    publishers=publishers,
    latency=latency,
    broadcasts=broadcasts,
    segments=segments,
    blocking=blocking,
    churn=churn,
    whep=whep,
    simulcast=simulcast,
    janus=janus,
)
