#!/usr/bin/env bash
# Every benchmark at a fiftieth of its size, which shows that they run (their figures mean nothing), and a mixed load for two minutes: nobody
# stalls, nothing leaks.
set -euo pipefail
cd "$(dirname "$0")/.."
small() { timeout 900 bench/bench.py --scale 0.02 --rounds 1 "$@"; }
soak() { bench/soak.py --minutes 2 --gate; }

if [[ $EUID -ne 0 ]] || ! command -v unshare >/dev/null; then
  small all
  soak
  exit
fi
# As root each run has a network of its own, so that they can go beside each other: the small ones wait most of their time.
bench/make-clips.sh target/bench/clips 60
logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$logs"' EXIT
soak >"$logs/soak" 2>&1 &
soaking=$!
small --share 1/2 all >"$logs/half" 2>&1 &
half=$!
small --share 2/2 all
failed=0
wait "$half" || failed=1
wait "$soaking" || failed=1
cat "$logs/half" "$logs/soak"
exit $failed
