#!/usr/bin/env bash
# The fan-out comparison with a neutral load generator and write loop instead of our own:
#   bench/neutral.sh FOLDER [WINDOW_MS] [VIEWERS] [ROUNDS]
# FOLDER holds run.sh, make_clip.sh and loadgen/ (a crate with the binaries loadgen and floor).
set -euo pipefail
folder=$(realpath "${1:?usage: neutral.sh FOLDER [WINDOW_MS] [VIEWERS] [ROUNDS]}")
window=${2:-40} viewers=${3:-1000} rounds=${4:-3}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/target/bench/neutral
mkdir -p "$work"
CARGO_TARGET_DIR=$work/target cargo build -q --release --manifest-path "$folder/loadgen/Cargo.toml"
[ -s "$work/main.flv" ] || "$folder/make_clip.sh" "$work" 60
ip netns add floodtide-bench 2>/dev/null || true
ip -n floodtide-bench link set lo up
trap 'ip netns del floodtide-bench' EXIT
export NETNS=floodtide-bench SECS=${SECS:-10} SETTLE=3
export OWN_ARGS="demo --no-clip --rtmp 127.0.0.1:19350 --http 127.0.0.1:18080 --admin 127.0.0.1:19080 --webrtc 127.0.0.1:18000 --srt 127.0.0.1:18100 --merge-window ${window}ms"
bin=$work/target/release
for _ in $(seq "$rounds"); do
  LABEL=floodtide-$window "$folder/run.sh" "$bin/loadgen" "$work/main.flv" own "$root/target/release/floodtide" flv "$viewers"
  LABEL=floor-$window "$folder/run.sh" "$bin/loadgen" "$work/main.flv" "floor$window" "$bin/floor" flv "$viewers"
done
