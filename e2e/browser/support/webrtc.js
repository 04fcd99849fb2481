/**
 * What runs inside a page: a publisher by WHIP whose picture is a clock, and a viewer by WHEP who reads it.
 * @module
 */

/**
 * Installs `window.whip` and `window.whep` in a page of the server.
 * @param {import("playwright-core").Page} page
 */
export async function installPeers(page) {
  await page.evaluate(() => {
    const [width, height, bits] = [640, 360, 16];
    const exchange = async (/** @type {RTCPeerConnection} */ peer, /** @type {string} */ url, /** @type {HeadersInit} */ more) => {
      await peer.setLocalDescription(await peer.createOffer());
      const headers = { "Content-Type": "application/sdp", ...more };
      const answer = await fetch(url, { method: "POST", headers, body: peer.localDescription?.sdp });
      if (answer.status !== 201) return { status: answer.status, text: await answer.text(), connection: "" };
      await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
      return { status: 201, text: "", connection: answer.headers.get("Location") ?? "" };
    };
    const peers = /** @type {RTCPeerConnection[]} */ ([]);
    /** Offers the header extension that tells when a picture was taken, which browsers leave out by themselves. */
    const offerCaptureTime = (/** @type {any} */ transceiver) => {
      const known = transceiver.getHeaderExtensionsToNegotiate();
      for (const one of known) if (one.uri.endsWith("/abs-capture-time")) one.direction = "sendrecv";
      transceiver.setHeaderExtensionsToNegotiate(known);
    };

    /** Publishes a clock in black and white blocks, and a tone. */
    const whip = async (/** @type {string} */ path, { codec = "H264", headers = {}, captureTime = false } = {}) => {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      const draw = () => {
        const now = Date.now() % 2 ** bits;
        for (let bit = 0; bit < bits; bit += 1) {
          pen.fillStyle = (now >> bit) & 1 ? "white" : "black";
          pen.fillRect((bit * width) / bits, 0, width / bits, height);
        }
      };
      draw();
      setInterval(draw, 10);
      const sound = new AudioContext();
      const tone = sound.createOscillator();
      const out = sound.createMediaStreamDestination();
      tone.connect(out);
      tone.start();
      const peer = new RTCPeerConnection();
      peers.push(peer);
      const video = peer.addTransceiver(canvas.captureStream(30).getVideoTracks()[0], { direction: "sendonly" });
      const known = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
      video.setCodecPreferences(known.filter((one) => one.mimeType === `video/${codec}`));
      if (captureTime) offerCaptureTime(video);
      peer.addTransceiver(out.stream.getAudioTracks()[0], { direction: "sendonly" });
      return exchange(peer, `/${path}/whip`, headers);
    };

    /** Plays; every shown picture's age is noted once it is there. */
    const whep = async (/** @type {string} */ path, { captureTime = false } = {}) => {
      const peer = new RTCPeerConnection();
      peers.push(peer);
      const pictures = peer.addTransceiver("video", { direction: "recvonly" });
      if (captureTime) offerCaptureTime(pictures);
      peer.addTransceiver("audio", { direction: "recvonly" });
      const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
      const media = new MediaStream();
      video.srcObject = media;
      peer.ontrack = (event) => media.addTrack(event.track);
      document.body.append(video);
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
      const began = performance.now();
      const seen = { first_ms: 0, ages: /** @type {number[]} */ ([]) };
      const shown = () => {
        seen.first_ms ||= performance.now() - began;
        pen.drawImage(video, 0, 0, width, height);
        let then = 0;
        for (let bit = 0; bit < bits; bit += 1) {
          if (pen.getImageData(((bit + 0.5) * width) / bits, height / 2, 1, 1).data[0] > 128) then += 2 ** bit;
        }
        seen.ages.push((Date.now() - then + 2 ** bits) % 2 ** bits);
        video.requestVideoFrameCallback(shown);
      };
      video.requestVideoFrameCallback(shown);
      const answer = await exchange(peer, `/${path}/whep`, {});
      const figures = async () => {
        const all = [...(await peer.getStats()).values()].filter((one) => one.type === "inbound-rtp");
        const of = (/** @type {string} */ kind) => all.find((one) => one.kind === kind) ?? {};
        // Media time minus the time at which it was shown or heard. The server counts both RTP times from the start of the broadcast.
        const ahead = (/** @type {string} */ kind, /** @type {number} */ kHz) => {
          const played = peer.getReceivers().find(({ track }) => track.kind === kind)?.getSynchronizationSources()[0];
          return played ? played.rtpTimestamp / kHz - played.timestamp : NaN;
        };
        return {
          ...seen, frames: of("video").framesDecoded ?? 0, lost: of("video").packetsLost ?? 0,
          sound_late_ms: Math.round(ahead("video", 90) - ahead("audio", 48)),
          freezes: of("video").freezeCount ?? 0, sounds: of("audio").packetsReceived ?? 0, state: peer.connectionState,
        };
      };
      const captured = () => {
        const { captureTimestamp, senderCaptureTimeOffset } = /** @type {any} */ (pictures.receiver.getSynchronizationSources()[0]);
        return { captureTimestamp, senderCaptureTimeOffset };
      };
      return { ...answer, figures, captured };
    };
    Object.assign(window, { whip, whep });
  });
}
