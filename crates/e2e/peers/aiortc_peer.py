"""A WebRTC client that is no browser: publishes a clip by WHIP, or plays by WHEP, with aiortc.

publish URL CLIP  sends the clip in real time until a line comes on the standard input, then says goodbye by DELETE
play URL          decodes for some seconds from the first picture on, then says goodbye

What it saw is one line of JSON on the standard output. Exit codes: 0 done; 2 the server refused, its words are on the standard
error; 3 no connection; 4 a connection, but no pictures or no sound in time.
"""

import argparse
import array
import asyncio
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid

import aioice.ice
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.rtp import RtcpSrPacket

# It offers no loopback address by itself, and a test's server has no other.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

REQUEST_S_MAX = 10
CONNECT_S_MAX = 15
FIRST_MEDIA_S_MAX = 20
PICTURE_HZ, SOUND_HZ = 90_000, 48_000
# A picture is a flash above this luma, a sample a click above this level.
FLASH_LUMA, CLICK_LEVEL = 128, 8192
# What rises again sooner is the same flash or click.
APART_S = 0.5


class Failed(Exception):
    """Why it ends, and its exit code."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def request(method, url, body=None, key=None):
    """Asks; the answer's status, headers and text."""
    headers = {"Content-Type": "application/sdp"} if body else {}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    asked = urllib.request.Request(url, data=body and body.encode(), method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=REQUEST_S_MAX) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def with_candidates(sdp, kind):
    """An offer as it is, without candidates, or with none but names that only a local network could look up (mDNS)."""
    if kind == "none":
        return re.sub(r"a=(candidate:|end-of-candidates).*\r\n", "", sdp)
    if kind == "local":
        return re.sub(r"(a=candidate:\S+ \d udp \d+ )\S+", lambda found: f"{found[1]}{uuid.uuid4()}.local", sdp)
    return sdp


def codec_of(answer):
    """The codec of pictures that the answer names first."""
    section = answer.split("m=video", 1)[-1]
    first = section.split()[2]
    return re.search(rf"a=rtpmap:{first} ([^/\s]+)", section)[1]


class Connection:
    """A peer connection and the URL that it has at the server."""

    def __init__(self):
        self.peer = RTCPeerConnection()
        self.url = None
        self.codec = None
        self.connected = asyncio.Event()
        self.over = asyncio.Event()

        @self.peer.on("connectionstatechange")
        def changed():
            if self.peer.connectionState == "connected":
                self.connected.set()
            if self.peer.connectionState in ("failed", "closed"):
                self.over.set()

    def prefer(self, transceiver, codec, kind):
        """Offers one codec of pictures only."""
        wanted = (f"video/{codec}".lower(), "video/rtx")
        known = kind.getCapabilities("video").codecs
        transceiver.setCodecPreferences([one for one in known if one.mimeType.lower() in wanted])

    async def open(self, options):
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = with_candidates(self.peer.localDescription.sdp, options.candidates)
        status, headers, text = await asyncio.to_thread(request, "POST", options.url, offer, options.key)
        if status != 201:
            raise Failed(2, f"{status} {text}")
        self.url = urllib.parse.urljoin(options.url, headers["Location"])
        self.codec = codec_of(text)
        await self.peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        try:
            await asyncio.wait_for(self.connected.wait(), CONNECT_S_MAX)
        except asyncio.TimeoutError:
            raise Failed(3, f"no connection after {CONNECT_S_MAX} s: ICE {self.peer.iceConnectionState}") from None

    async def close(self):
        if self.url:
            await asyncio.to_thread(request, "DELETE", self.url)
        await self.peer.close()


class Heard:
    """What came of one track, and when something rose in it by the sender's own clock."""

    def __init__(self, receiver, hz):
        self.receiver, self.hz = receiver, hz
        self.frames = 0
        self.rises = []
        self.loud_until = -APART_S
        self.clock = None
        self.began = asyncio.Event()
        hear = receiver._handle_rtcp_packet

        async def note(packet):
            if isinstance(packet, RtcpSrPacket):
                self.clock = (packet.sender_info.ntp_timestamp / 2**32, packet.sender_info.rtp_timestamp)
            await hear(packet)

        receiver._handle_rtcp_packet = note

    def at(self, seconds):
        """Notes that it is loud, or bright, at this media time."""
        if seconds - self.loud_until > APART_S:
            self.rises.append(seconds)
        self.loud_until = seconds

    def by_senders_clock(self):
        """Rises in seconds of the sender's wall clock (RFC 3550 §6.4.1); none as long as it hasn't told its clock."""
        if not self.clock:
            return []
        wall, ticks = self.clock
        origin = self.receiver._RTCRtpReceiver__timestamp_mapper._origin
        return [wall + rise + (origin - ticks) / self.hz for rise in self.rises]


async def watch(track, seen, look):
    """Decodes for ever; `look` takes each frame and its media time in seconds."""
    while True:
        frame = await track.recv()
        seen.frames += 1
        look(frame, float(frame.pts * frame.time_base))
        seen.began.set()


async def play(options):
    connection = Connection()
    video = connection.peer.addTransceiver("video", direction="recvonly")
    audio = connection.peer.addTransceiver("audio", direction="recvonly")
    if options.codec:
        connection.prefer(video, options.codec, RTCRtpReceiver)
    pictures, sound = Heard(video.receiver, PICTURE_HZ), Heard(audio.receiver, SOUND_HZ)
    size = [0, 0]

    def picture(frame, seconds):
        size[:] = frame.width, frame.height
        luma = frame.planes[0]
        # Not in its middle: a clip may be shown in a corner of the picture.
        if bytes(luma)[luma.line_size * (frame.height // 8) + frame.width // 8] > FLASH_LUMA:
            pictures.at(seconds)

    def samples(frame, seconds):
        channels = len(frame.layout.channels)
        values = array.array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples])
        for at, value in enumerate(values):
            if abs(value) > CLICK_LEVEL:
                sound.at(seconds + at // channels / SOUND_HZ)

    await connection.open(options)
    tasks = [
        asyncio.create_task(watch(video.receiver.track, pictures, picture)),
        asyncio.create_task(watch(audio.receiver.track, sound, samples)),
    ]
    try:
        began = asyncio.gather(pictures.began.wait(), sound.began.wait())
        await asyncio.wait_for(began, FIRST_MEDIA_S_MAX)
        await asyncio.sleep(options.seconds)
    except asyncio.TimeoutError:
        raise Failed(4, f"{pictures.frames} pictures and {sound.frames} sounds in {FIRST_MEDIA_S_MAX} s") from None
    finally:
        for task in tasks:
            task.cancel()
        await connection.close()
    flashes, clicks = pictures.by_senders_clock(), sound.by_senders_clock()
    offsets = [min((click - flash for click in clicks), key=abs) for flash in flashes if clicks]
    return {
        "codec": connection.codec, "pictures": pictures.frames, "sounds": sound.frames, "width": size[0], "height": size[1],
        # By how much a click is later than its flash.
        "offsets_ms": [round(offset * 1000, 1) for offset in offsets if abs(offset) < APART_S],
    }


async def publish(options):
    connection = Connection()
    source = MediaPlayer(options.clip)
    video = connection.peer.addTransceiver(source.video, direction="sendonly")
    connection.peer.addTransceiver(source.audio, direction="sendonly")
    if options.codec:
        connection.prefer(video, options.codec, RTCRtpSender)
    await connection.open(options)
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    asked_to_end = asyncio.create_task(words.readline())
    over = asyncio.create_task(connection.over.wait())
    try:
        await asyncio.wait([asked_to_end, over], return_when=asyncio.FIRST_COMPLETED)
        if not asked_to_end.done():
            raise Failed(3, "the connection was lost")
        sent = [one for one in (await video.sender.getStats()).values() if one.type == "outbound-rtp"]
        return {"codec": connection.codec, "packets": sent[0].packetsSent if sent else 0}
    finally:
        await connection.close()
        source.video.stop()
        source.audio.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in (("publish", publish), ("play", play)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("url")
        if name == "publish":
            command.add_argument("clip")
        command.add_argument("--codec", choices=("H264", "VP8"), help="the only one that is offered")
        command.add_argument("--candidates", choices=("all", "none", "local"), default="all", help="those in the offer")
        command.add_argument("--key", help="a stream key, or a token")
        command.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    try:
        print(json.dumps(asyncio.run(options.run(options))), flush=True)
    except Failed as failed:
        print(failed, file=sys.stderr)
        return failed.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
