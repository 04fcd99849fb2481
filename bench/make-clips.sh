#!/usr/bin/env bash
# Makes the clips that the benchmarks publish, once: make-clips.sh FOLDER [SECONDS]
#   main.flv   H.264 1280x720, 30 fps, 1 Mbit/s constant, groups of 2 s; AAC 128 kbit/s
#   light.flv  H.264 320x180, 15 fps, 150 kbit/s; AAC 48 kbit/s (for many broadcasts)
#   talk.flv   H.264 640x360, 30 fps, 500 kbit/s; AAC 64 kbit/s (600 kbit/s by WebRTC with all headers)
set -euo pipefail
folder=${1:?usage: make-clips.sh FOLDER [SECONDS]}
seconds=${2:-60}
mkdir -p "$folder"

make() { # NAME SIZE FPS KBIT GROUP AUDIO_KBIT SOURCE
  local out=$folder/$1.flv
  [ -s "$out" ] && return
  ffmpeg -hide_banner -loglevel error -y -t "$seconds" \
    -f lavfi -i "testsrc2=size=$2:rate=$3$7" \
    -f lavfi -i "sine=frequency=440:sample_rate=48000,aformat=channel_layouts=stereo" -t "$seconds" \
    -c:v libx264 -preset veryfast -tune zerolatency -profile:v main -pix_fmt yuv420p \
    -b:v "$4k" -maxrate "$4k" -bufsize "$4k" -g "$5" -keyint_min "$5" -sc_threshold 0 \
    -x264-params "nal-hrd=cbr:force-cfr=1:sliced-threads=0:threads=2" \
    -c:a aac -b:a "$6k" -f flv -flvflags no_duration_filesize "$out.part"
  mv "$out.part" "$out"
}
make main 1280x720 30 1000 60 128 ",noise=alls=6:allf=t"
make light 320x180 15 150 30 48 ""
make talk 640x360 30 500 60 64 ",noise=alls=6:allf=t"
