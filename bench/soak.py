#!/usr/bin/env python3
"""A mixed load for a long time: publishers come and go, viewers of every output churn. Shows that nobody stalls, and that
memory and descriptors stay where they were.

  bench/soak.py --minutes 30
  bench/soak.py --minutes 2 --gate          what CI runs
"""

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machinery import ADMIN, HTTP, RTMP, SRT, START_SECONDS_MAX, Process, Table, binary, clip, enter_network_namespace, floodtide, http_bytes

STEADY, VISITING, VISIT_SECONDS = 30, 10, 12
WAVES, WAVE_SECONDS = 5, 40
# Every output: what it is called, where it is, and how many of a hundred viewers watch by it.
OUTPUTS = [
    ("HTTP-FLV", f"http://127.0.0.1:{HTTP}/live/s{{i}}.flv", 45),
    ("WS-FLV", f"ws://127.0.0.1:{HTTP}/live/s{{i}}.flv", 15),
    ("RTMP", f"rtmp://127.0.0.1:{RTMP}/live/s{{i}}", 15),
    ("LL-HLS", f"http://127.0.0.1:{HTTP}/live/s{{i}}/index.m3u8", 12),
    ("HLS by TS", f"http://127.0.0.1:{HTTP}/live/s{{i}}/ts/index.m3u8", 5),
    ("WHEP", f"http://127.0.0.1:{HTTP}/live/s{{i}}/whep", 8),
]
# And SRT, which the generator doesn't speak: so many more in each wave, by srt-live-transmit.
SRT_VIEWERS, SRT_PLAYER = 2, "srt-live-transmit"
# Without a byte for so long a viewer has stalled: the generator's own measure.
STALL_SECONDS = 1.0
# What nobody asks for any more is packaged for so long: it ends within a short run, too, and has to give back what it held.
PACKAGING_SECONDS = 15
# The first so much of the time fills caches and allocator, and isn't compared.
WARM_SHARE = 0.25


def publish(log, name, count, path, seconds=None):
    command = [binary(), "load", "publish", "-q", "--url", f"rtmp://127.0.0.1:{RTMP}/live/{name}{{i}}", "--file", path]
    command += ["--publishers", str(count)] + (["--duration", f"{seconds}s"] if seconds else [])
    return Process(command, log)


def visitors(end, path, folder):
    """Publishers that stay for a few seconds, one group after the other."""
    turn = 0
    while time.monotonic() + VISIT_SECONDS < end:
        group = publish(Path(folder) / "visitors.log", f"v{turn % 7}x", VISITING, path, VISIT_SECONDS)
        group.child.wait(VISIT_SECONDS * 3)
        group.stop()
        turn += 1


def watch_by_srt(broadcast, seconds):
    """One session by SRT, counted as the generator counts its own."""
    url = f"srt://127.0.0.1:{SRT}?streamid=play:live/s{broadcast}"
    counted = dict(output="SRT", viewers=1, stalled_viewers=0, silent=1, disconnects=0)
    end = time.monotonic() + seconds
    player = subprocess.Popen([SRT_PLAYER, "-quiet", "-a:no", url, "file://con"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while (left := end - time.monotonic()) > 0:
        if not select.select([player.stdout], [], [], min(left, STALL_SECONDS))[0]:
            if left > STALL_SECONDS and not counted["silent"]:
                counted["stalled_viewers"] = 1
        elif player.stdout.read1(1 << 16):
            counted["silent"] = 0
        else:
            counted["disconnects"] = 1
            break
    player.kill()
    player.communicate()
    return counted


def waves(number, viewers, end, results):
    """One wave of viewers after the other; each is counted whole."""
    turn = 0
    while (left := end - time.monotonic()) > 12:
        seconds, turn = min(WAVE_SECONDS, int(left) - 8), turn + 1
        command = [binary(), "load", "view", "-q", "-n", str(viewers), "--broadcasts", str(STEADY), "--ramp", "100", "--warmup", "1s"]
        command += ["--duration", f"{seconds}s", "--json", "-"]
        command += [word for _, url, share in OUTPUTS for word in ("--url", url, "--share", str(share))]
        with ThreadPoolExecutor() as beside:
            broadcasts = [(turn * WAVES + number + n * STEADY // SRT_VIEWERS) % STEADY for n in range(SRT_VIEWERS)]
            by_srt = [beside.submit(watch_by_srt, broadcast, seconds) for broadcast in broadcasts]
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
            results.extend(one.result() for one in by_srt)
        if done.stdout.lstrip().startswith("{"):
            profiles = json.loads(done.stdout)["profiles"]
            results.extend(dict(profile, output=name) for profile, (name, _, _) in zip(profiles, OUTPUTS, strict=True))
        else:
            sys.stderr.write(f"soak: wave {number}: {done.stderr}\n")
            results.append(dict(output=OUTPUTS[0][0], viewers=viewers, stalled_viewers=viewers, silent=viewers, disconnects=viewers))


def soak(minutes, viewers):
    table, path = Table("soak"), clip("light")
    readings, results = [], []
    with floodtide() as server, tempfile.TemporaryDirectory(prefix="soak.") as folder:
        descriptors = lambda: len(os.listdir(f"/proc/{server.pid}/fd"))
        wait_until_ready()
        before = descriptors()
        steady = publish(Path(folder) / "steady.log", "s", STEADY, path)
        wait_until_segments()
        begin = time.monotonic()
        end = begin + minutes * 60
        threads = [threading.Thread(target=visitors, args=(end, path, folder))]
        threads += [threading.Thread(target=waves, args=(n, viewers // WAVES, end - n * WAVE_SECONDS / WAVES / 2, results)) for n in range(WAVES)]
        for number, thread in enumerate(threads):
            thread.start()
            time.sleep(min(WAVE_SECONDS / WAVES, minutes))
        while any(t.is_alive() for t in threads):
            time.sleep(1)
            readings.append((time.monotonic() - begin, server.rss_kib() / 1024))
            if len(readings) % 30 == 0:
                print(f"  {readings[-1][0] / 60:5.1f} min  {readings[-1][1]:6.1f} MiB  {descriptors()} descriptors", file=sys.stderr, flush=True)
        steady.stop()
        wait_until_idle(descriptors, before)
        report(table, minutes, viewers, results, readings, before, descriptors())
    return table


def wait_until_ready():
    """Until all listeners are open: on a busy machine that is later than the first of them."""
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{ADMIN}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"soak: the server isn't ready within {START_SECONDS_MAX} s")


def wait_until_segments():
    """Until each broadcast lists the three segments that a player without parts begins with, which would stall on one."""
    end = time.monotonic() + START_SECONDS_MAX * 2
    waiting = set(range(STEADY))
    while waiting and time.monotonic() < end:
        waiting = {broadcast for broadcast in waiting if segments(broadcast) < 3}
        time.sleep(0.5)
    if waiting:
        sys.exit(f"soak: {len(waiting)} broadcasts have no three segments")


def segments(broadcast):
    """How many are listed by TS; asking has them packaged."""
    try:
        return http_bytes(f"/live/s{broadcast}/ts/index.m3u8").count(b"#EXTINF")
    except OSError:
        return 0


def wait_until_idle(descriptors, before):
    """Broadcasts have a grace of ten seconds, packaging an idle time."""
    end = time.monotonic() + 90
    while descriptors() > before and time.monotonic() < end:
        time.sleep(1)


def report(table, minutes, viewers, results, readings, before, after):
    table.row(f"sessions, {minutes:g} min, {viewers} viewers at a time", sum(result["viewers"] for result in results), "")
    for output in [*(name for name, _, _ in OUTPUTS), "SRT"]:
        total = lambda key: sum(result[key] for result in results if result["output"] == output)
        share = 100 * (total("stalled_viewers") + total("silent")) / max(1, total("viewers"))
        table.row(f"of {total('viewers')} by {output}: with a stall or without media", share, "%", target=0.7)
        table.row(f"of {total('viewers')} by {output}: that lost their connection", total("disconnects"), "", target=0)
    warm = [rss for at, rss in readings if at > WARM_SHARE * readings[-1][0]]
    half = len(warm) // 2
    early, late = sum(warm[:half]) / half, sum(warm[half:]) / (len(warm) - half)
    # In two minutes the tides of publishers and viewers still show.
    flat = 1.05 if minutes >= 10 else 1.2
    table.row("RSS after warming up, second half against first", late, "MiB", early, flat)
    table.row("descriptors left over", after - before, "", target=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--viewers", type=int, default=1500, help="at a time")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    if not shutil.which(SRT_PLAYER):
        sys.exit(f"soak: {SRT_PLAYER} is not there; scripts/install-test-tools.sh installs it")
    os.environ["FLOODTIDE_HLS__IDLE"] = f"{PACKAGING_SECONDS}s"
    enter_network_namespace()
    held = soak(options.minutes, options.viewers).save()
    return 1 if options.gate and not held else 0


if __name__ == "__main__":
    sys.exit(main())
