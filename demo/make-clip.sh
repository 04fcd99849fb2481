#!/usr/bin/env bash
# Makes demo/clip.flv, the broadcast that is built into the binary. Needs ffmpeg and the DejaVu fonts
# (Debian: apt-get install ffmpeg fonts-dejavu-core).
#
# The picture carries a clock twice: as text, and as a row of 16 squares along the top that show the number of
# the frame within the loop in binary, highest bit left, white for one. So latency can be read from a picture.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=12
font=/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf

squares=""
for bit in $(seq 0 15); do
  x=$((8 + (15 - bit) * 24))
  squares+=",drawbox=x=$x:y=8:w=20:h=20:color=white:t=fill:enable='eq(mod(floor(n/$((1 << bit))),2),1)'"
done

ffmpeg -hide_banner -loglevel error -y \
  -f lavfi -i "gradients=size=640x360:rate=30:duration=$seconds:c0=0x06283D:c1=0x1363DF:c2=0x0B8FAC:c3=0x47B5FF:x0=0:y0=0:x1=640:y1=360:nb_colors=4:seed=7:speed=0.02" \
  -f lavfi -i "sine=frequency=220:sample_rate=48000:duration=$seconds" \
  -f lavfi -i "sine=frequency=880:sample_rate=48000:duration=$seconds" \
  -f lavfi -i "color=c=white:size=60x6:rate=30:duration=$seconds" \
  -filter_complex "\
[0:v]drawbox=x=0:y=0:w=400:h=36:color=black:t=fill$squares,\
drawtext=fontfile=$font:text='Floodtide':fontsize=64:fontcolor=white:x=(w-tw)/2:y=118,\
drawtext=fontfile=$font:text='%{eif\\:floor(n/30)\\:d\\:2}.%{eif\\:mod(n\\,30)\\:d\\:2}':fontsize=40:fontcolor=white@0.9:x=(w-tw)/2:y=206,format=yuv420p[still];\
[3:v]null[bar];[still][bar]overlay=x='mod(n*4,640)':y=304:shortest=1[v];\
[1:a]volume=0.05[tone];[2:a]volume='0.25*lt(mod(t,1),0.06)':eval=frame[beep];[tone][beep]amix=inputs=2:normalize=0,aformat=channel_layouts=stereo[a]" \
  -map "[v]" -map "[a]" -t "$seconds" \
  -c:v libx264 -preset slow -tune zerolatency -profile:v main -b:v 700k -maxrate 800k -bufsize 800k \
  -g 30 -keyint_min 30 -sc_threshold 0 -bf 0 -x264-params "sliced-threads=0" \
  -c:a aac -b:a 96k -f flv -flvflags no_duration_filesize "$here/clip.flv"
ls -l "$here/clip.flv"
