#!/usr/bin/env bash
# Installs what the end-to-end, browser and benchmark runs need beside Rust, on Debian, as root or with sudo. A second run finds
# everything there and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# A program (or a file) that shows a package is there, and the package.
needed=(
    ffmpeg:ffmpeg
    ffprobe:ffmpeg
    chromium:chromium
    nginx:nginx
    pebble:pebble
    /usr/lib/nginx/modules/ngx_rtmp_module.so:libnginx-mod-rtmp
    curl:curl
    openssl:openssl
    ss:iproute2
    unshare:util-linux
    wrk:wrk
    janus:janus
    haproxy:haproxy
    slowhttptest:slowhttptest
    promtool:prometheus
    python3:python3
    buildah:buildah
    systemd-analyze:systemd
    strip:binutils
    strace:strace
    man:man-db
    zsh:zsh
    fish:fish
    /usr/lib/python3/dist-packages/ensurepip:python3-venv
    node:nodejs
    npm:npm
    cc:build-essential
    cmake:cmake
    obs:obs-studio
    Xvfb:xvfb
    mpv:mpv
    vlc:vlc-bin
    '/usr/lib/*/vlc/plugins/control/liboldrc_plugin.so:vlc-plugin-base'
    setpriv:util-linux
    rtmpdump:rtmpdump
    srt-live-transmit:srt-tools
    gst-launch-1.0:gstreamer1.0-tools
    '/usr/lib/*/gstreamer-1.0/libgstplayback.so:gstreamer1.0-plugins-base'
    '/usr/lib/*/gstreamer-1.0/libgstadaptivedemux2.so:gstreamer1.0-plugins-good'
    '/usr/lib/*/gstreamer-1.0/libgstrtmp2.so:gstreamer1.0-plugins-bad'
    '/usr/lib/*/gstreamer-1.0/libgstx264.so:gstreamer1.0-plugins-ugly'
    '/usr/lib/*/gstreamer-1.0/libgstlibav.so:gstreamer1.0-libav'
)

is_there() {
    case $1 in
        # A venv needs the module, and Debian has cut it out of python3 itself.
        */ensurepip) python3 -c 'import ensurepip' 2>/dev/null ;;
        # Plugins lie in a folder that is named after the machine.
        /*'*'*) compgen -G "$1" >/dev/null ;;
        /*) test -e "$1" ;;
        *) command -v "$1" >/dev/null || test -x "/usr/sbin/$1" ;;
    esac
}

missing=()
for entry in "${needed[@]}"; do
    is_there "${entry%%:*}" || missing+=("${entry##*:}")
done

if ((${#missing[@]})); then
    echo "installing ${missing[*]}"
    as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# ffmpeg of today, for enhanced RTMP: Debian's speaks only the old one.
tools=target/test-tools
if ! [[ -x $tools/ffmpeg9 ]]; then
    echo "installing ffmpeg 9 into $tools"
    mkdir -p "$tools"
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
    binary=$("$tools/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')
    ln -sf "$(realpath --relative-to="$tools" "$binary")" "$tools/ffmpeg9"
fi

# Checkers of the API's description, and of what it promises.
if ! [[ -x $tools/venv/bin/schemathesis ]]; then
    echo "installing schemathesis into $tools"
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check schemathesis==4.32.5 openapi-spec-validator==0.9.0
fi

# A WebRTC client that is no browser.
if ! "$tools/venv/bin/python" -c 'import aiortc' 2>/dev/null; then
    echo "installing aiortc into $tools"
    "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check aiortc==1.16.0
fi

echo "test tools are there: $("$tools/ffmpeg9" -version | head -n 1 | cut -d' ' -f1-3)"
