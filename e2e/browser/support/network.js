/**
 * What runs inside a page for tests of bad networks: a publisher by WHIP in one quality or two, a viewer by WHEP who notes every
 * picture that is shown. Each is told which of the server's addresses to use, one of which is behind the relay.
 * @module
 */

/** @typedef {{ at: number, width: number, age: number }} Shown a picture: when (ms), how wide (px), how old (ms) */

/**
 * Installs `window.network` in a page of the server.
 * @param {import("playwright-core").Page} page
 */
export async function installNetwork(page) {
  await page.evaluate(() => {
    const [width, height, bits] = [480, 272, 16];
    const low = { rid: "l", scaleResolutionDownBy: 2, maxBitrate: 120_000 };
    const high = { rid: "h", maxBitrate: 500_000 };

    /** An answer with the candidates of one way only, a pattern. */
    const only = (/** @type {string} */ sdp, /** @type {string} */ way) =>
      sdp.split("\r\n").filter((line) => !line.startsWith("a=candidate:") || RegExp(way).test(line)).join("\r\n");
    const exchange = async (/** @type {RTCPeerConnection} */ peer, /** @type {string} */ url, /** @type {string} */ way) => {
      await peer.setLocalDescription(await peer.createOffer());
      const headers = { "Content-Type": "application/sdp", Authorization: "Bearer secret" };
      const answer = await fetch(url, { method: "POST", headers, body: peer.localDescription?.sdp });
      const text = await answer.text();
      if (answer.status !== 201) throw new Error(`${answer.status} ${text}`);
      await peer.setRemoteDescription({ type: "answer", sdp: only(text, way) });
    };

    /** Publishes a clock in black and white blocks over something that moves. */
    const publish = async (/** @type {string} */ path, /** @type {string} */ way, /** @type {boolean} */ simulcast) => {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      setInterval(() => {
        for (let block = 0; block < 6; block += 1) {
          pen.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
          pen.fillRect(Math.random() * width, height / 2 + Math.random() * height / 2, 60, 60);
        }
        const now = Date.now() % 2 ** bits;
        for (let bit = 0; bit < bits; bit += 1) {
          pen.fillStyle = (now >> bit) & 1 ? "white" : "black";
          pen.fillRect((bit * width) / bits, 0, width / bits, height / 2);
        }
      }, 20);
      const peer = new RTCPeerConnection();
      const sendEncodings = simulcast ? [low, high] : [{ maxBitrate: high.maxBitrate }];
      const video = peer.addTransceiver(canvas.captureStream(15).getVideoTracks()[0], { direction: "sendonly", sendEncodings });
      const known = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
      video.setCodecPreferences(known.filter((one) => one.mimeType === "video/H264"));
      // A busy machine would make Chromium send smaller pictures.
      await video.sender.setParameters({ ...video.sender.getParameters(), degradationPreference: "maintain-resolution" });
      await exchange(peer, `/${path}/whip`, way);
    };

    /** Plays. */
    const play = async (/** @type {string} */ path, /** @type {string} */ way) => {
      const peer = new RTCPeerConnection();
      peer.addTransceiver("video", { direction: "recvonly" });
      const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
      peer.ontrack = (event) => (video.srcObject = new MediaStream([event.track]));
      document.body.append(video);
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
      const shown = /** @type {import("./network.js").Shown[]} */ ([]);
      const look = () => {
        pen.drawImage(video, 0, 0, width, height);
        let then = 0;
        for (let bit = 0; bit < bits; bit += 1) {
          if (pen.getImageData(((bit + 0.5) * width) / bits, height / 4, 1, 1).data[0] > 128) then += 2 ** bit;
        }
        shown.push({ at: performance.now(), width: video.videoWidth, age: (Date.now() - then + 2 ** bits) % 2 ** bits });
        video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
      await exchange(peer, `/${path}/whep`, way);
      const way_used = async () => {
        const all = [...(await peer.getStats()).values()];
        const pair = all.find((one) => one.type === "candidate-pair" && one.nominated);
        return all.find((one) => one.id === pair?.remoteCandidateId)?.protocol ?? "none";
      };
      return { shown, way_used };
    };

    /** @type {Awaited<ReturnType<typeof play>>} */
    let viewer;
    Object.assign(window, {
      network: {
        publish,
        play: async (/** @type {string} */ path, /** @type {string} */ way) => { viewer = await play(path, way); },
        now: () => performance.now(),
        shown: (/** @type {number} */ since) => viewer.shown.filter((one) => one.at >= since),
        wayUsed: () => viewer.way_used(),
      },
    });
  });
}
