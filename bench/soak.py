#!/usr/bin/env python3
"""A mixed load for a long time: publishers come and go, viewers of every output churn. Shows that nobody stalls, and that
memory and descriptors stay where they were.

  bench/soak.py --minutes 30
  bench/soak.py --minutes 2 --gate          what CI runs
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from machinery import ADMIN, HTTP, RTMP, START_SECONDS_MAX, Process, Table, binary, clip, enter_network_namespace, floodtide

STEADY, VISITING, VISIT_SECONDS = 30, 10, 12
WAVES, WAVE_SECONDS = 5, 40
MIX = "55% flv, 15% ws, 15% rtmp, 15% hls"
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


def waves(number, viewers, end, results):
    """One wave of viewers after the other; each is counted whole."""
    while (left := end - time.monotonic()) > 12:
        seconds = min(WAVE_SECONDS, int(left) - 8)
        command = [binary(), "load", "view", "-q", "--url", f"http://127.0.0.1:{HTTP}/live/s{{i}}.flv", "--mix", MIX]
        command += ["--rtmp-port", str(RTMP), "-n", str(viewers), "--broadcasts", str(STEADY), "--ramp", "100", "--warmup", "1s"]
        command += ["--duration", f"{seconds}s", "--json", "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
        if done.stdout.lstrip().startswith("{"):
            results.append(json.loads(done.stdout)["total"])
        else:
            sys.stderr.write(f"soak: wave {number}: {done.stderr}\n")
            results.append(dict(viewers=viewers, stalled_viewers=viewers, silent=viewers, disconnects=viewers))


def soak(minutes, viewers):
    table, path = Table("soak"), clip("light")
    readings, results = [], []
    with floodtide() as server, tempfile.TemporaryDirectory(prefix="soak.") as folder:
        descriptors = lambda: len(os.listdir(f"/proc/{server.pid}/fd"))
        wait_until_ready()
        before = descriptors()
        steady = publish(Path(folder) / "steady.log", "s", STEADY, path)
        time.sleep(3)
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


def wait_until_idle(descriptors, before):
    """Broadcasts have a grace of ten seconds, packaging an idle time of a minute."""
    end = time.monotonic() + 90
    while descriptors() > before and time.monotonic() < end:
        time.sleep(1)


def report(table, minutes, viewers, results, readings, before, after):
    total = lambda key: sum(result[key] for result in results)
    table.row(f"sessions, {minutes:g} min, {viewers} viewers at a time", total("viewers"), "")
    share = 100 * (total("stalled_viewers") + total("silent")) / max(1, total("viewers"))
    table.row("sessions with a stall or without media", share, "%", target=0.7)
    table.row("sessions that lost their connection", total("disconnects"), "", target=0)
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
    enter_network_namespace()
    held = soak(options.minutes, options.viewers).save()
    return 1 if options.gate and not held else 0


if __name__ == "__main__":
    sys.exit(main())
