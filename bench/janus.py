"""The peer for WebRTC: Janus with its streaming plugin (Debian's package `janus`), and a WHEP door in front of it.

Janus 1.1 makes the offer itself, and WHEP has the viewer make it. The door answers each side with the other's secrets,
addresses and payload types; media goes between viewer and Janus directly."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from machinery import HTTP, Process, running

API, VIDEO_PORT, AUDIO_PORT = 18088, 15004, 15006
# What the viewers of `floodtide load` offer for H.264 in packetization mode 1 (constrained baseline), and for Opus.
VIDEO_TYPE, AUDIO_TYPE = 108, 111
# Janus takes no address of the loopback interface, and a network of the benchmark's own has no other: it gets this one.
ADDRESS = "10.77.0.1"
WHEP = f"http://{ADDRESS}:{HTTP}/live/x{{i}}/whep"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu/janus")

GENERAL = """general: {{ configs_folder = "{folder}" plugins_folder = "{folder}/plugins" transports_folder = "{folder}/transports"
  events_folder = "{folder}" loggers_folder = "{folder}" debug_level = 3 session_timeout = 0 reclaim_session_timeout = 0
  {loops} }}
media: {{ rtp_port_range = "20000-60000" }}
nat: {{ ice_lite = true ice_tcp = false }}
"""
TRANSPORT = 'general: {{ json = "compact" http = true port = {port} ip = "127.0.0.1" https = false }}\nadmin: {{ admin_http = false }}\n'
STREAMING = """clip: {{ type = "rtp" id = 1 metadata = "" {threads} media = (
  {{ type = "audio" mid = "a" label = "a" port = {audio} pt = {audio_type} codec = "opus" }},
  {{ type = "video" mid = "v" label = "v" port = {video} pt = {video_type} codec = "h264"
    fmtp = "profile-level-id=42e01f;packetization-mode=1" }} ) }}
"""


@contextmanager
def janus(path, loops):
    """Janus, fed with the clip at `path`, and its door where Floodtide's would be. `loops`: threads for all viewers, 0 for one each."""
    if not shutil.which("janus"):
        sys.exit("bench: janus is not there; install it with: apt-get install --no-install-recommends janus")
    give_an_address()
    with tempfile.TemporaryDirectory(prefix="janus.") as folder:
        settings(Path(folder), loops)
        with running(["janus", "-F", folder], API) as server:
            feed = Process(feeding(path), Path(folder) / "feed.log")
            door = ThreadingHTTPServer((ADDRESS, HTTP), Door)
            threading.Thread(target=door.serve_forever, daemon=True).start()
            try:
                yield server
            finally:
                door.shutdown()
                door.server_close()
                feed.stop()


def give_an_address():
    if "wan" not in (name for _, name in socket.if_nameindex()):
        up = f"ip link add wan type veth peer name far && ip addr add {ADDRESS}/24 dev wan && ip link set wan up && ip link set far up"
        subprocess.run(up, shell=True, check=True)


def settings(folder, loops):
    for kind, name in (("plugins", "streaming"), ("transports", "http")):
        (folder / kind).mkdir()
        os.symlink(LIBRARIES / kind / f"libjanus_{name}.so", folder / kind / f"libjanus_{name}.so")
    (folder / "janus.jcfg").write_text(GENERAL.format(folder=folder, loops=f"event_loops = {loops}" if loops else ""))
    (folder / "janus.transport.http.jcfg").write_text(TRANSPORT.format(port=API))
    ports = dict(audio=AUDIO_PORT, video=VIDEO_PORT, audio_type=AUDIO_TYPE, video_type=VIDEO_TYPE)
    threads = f"threads = {loops}" if loops else ""
    (folder / "janus.plugin.streaming.jcfg").write_text(STREAMING.format(threads=threads, **ports))


def feeding(path):
    """The pictures as they are; the sound as Opus, at the rate at which Floodtide makes it."""
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", path]
    command += ["-map", "0:v", "-c:v", "copy", "-bsf:v", "h264_mp4toannexb,dump_extra", "-payload_type", str(VIDEO_TYPE)]
    command += ["-f", "rtp", f"rtp://127.0.0.1:{VIDEO_PORT}?pkt_size=1200"]
    command += ["-map", "0:a", "-c:a", "libopus", "-b:a", "96k", "-ar", "48000", "-payload_type", str(AUDIO_TYPE)]
    return [*command, "-f", "rtp", f"rtp://127.0.0.1:{AUDIO_PORT}?pkt_size=1200"]


def ask(path, message=None):
    data = None if message is None else json.dumps({"transaction": "bench", **message}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{API}/janus{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Door(BaseHTTPRequestHandler):
    """WHEP for viewers who offer pictures and sound."""

    def do_POST(self):
        theirs = self.rfile.read(int(self.headers["Content-Length"])).decode()
        session = ask("", {"janus": "create"})["data"]["id"]
        handle = ask(f"/{session}", {"janus": "attach", "plugin": "janus.plugin.streaming"})["data"]["id"]
        ask(f"/{session}/{handle}", {"janus": "message", "body": {"request": "watch", "id": 1}})
        ours = None
        while ours is None:
            ours = ask(f"/{session}").get("jsep", {}).get("sdp")
        answer = {"type": "answer", "sdp": answered(ours, theirs, "active", "recvonly")}
        ask(f"/{session}/{handle}", {"janus": "message", "body": {"request": "start"}, "jsep": answer})
        body = answered(theirs, ours, "passive", "sendonly").encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/sdp")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", f"/{session}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def answered(offer, other, setup, direction):
    """An answer to `offer` with the secrets, addresses and sources of `other`: one payload type, no header extensions."""
    secrets = [re.search(rf"^a={name}:.*$", other, re.M).group().strip() for name in ("ice-ufrag", "ice-pwd", "fingerprint")]
    bundle = re.search(r"^a=group:BUNDLE.*$", offer, re.M).group().strip()
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", bundle]
    lines += ["a=ice-lite"] * ("a=ice-lite" in other)
    for section in re.split(r"^m=", offer, flags=re.M)[1:]:
        kind = section.split()[0]
        wanted = VIDEO_TYPE if kind == "video" else AUDIO_TYPE
        lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {wanted}", "c=IN IP4 0.0.0.0", f"a={direction}", "a=rtcp-mux", f"a=setup:{setup}"]
        lines += [*secrets, re.search(r"^a=mid:.*$", section, re.M).group().strip()]
        kept = rf"^a=(?:rtpmap|fmtp|rtcp-fb):{wanted} .*$"
        lines += [line.strip() for line in re.findall(kept, section, re.M) if "transport-cc" not in line]
        same = next(part for part in re.split(r"^m=", other, flags=re.M)[1:] if part.startswith(kind))
        lines += [line.strip() for line in re.findall(r"^a=ssrc:.*$", same, re.M)[:1]]
        lines += list(dict.fromkeys(line.strip() for line in re.findall(r"^a=candidate:.*$", other, re.M)))
    return "\r\n".join(lines) + "\r\n"
