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
    const low = { rid: "l", scaleResolutionDownBy: 2 };
    const high = { rid: "h" };
    const [low_bits, high_bits] = [120_000, 500_000];

    /** An answer with the candidates of one way only, a pattern. */
    const only = (/** @type {string} */ sdp, /** @type {string} */ way) =>
      sdp.split("\r\n").filter((line) => !line.startsWith("a=candidate:") || RegExp(way).test(line)).join("\r\n");
    /** An offer without candidates, or with all that the browser has to say. */
    const offer = async (/** @type {RTCPeerConnection} */ peer, /** @type {string} */ candidates) => {
      const gathered = new Promise((resolve) => peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve(null)));
      await peer.setLocalDescription(await peer.createOffer());
      if (candidates === "all") await gathered;
      const lines = (peer.localDescription?.sdp ?? "").split("\r\n");
      return lines.filter((line) => candidates === "all" || !/^a=(candidate|end-of-candidates)/.test(line)).join("\r\n");
    };
    const exchange = async (/** @type {RTCPeerConnection} */ peer, /** @type {string} */ url, /** @type {string} */ way, candidates = "none") => {
      const sdp = await offer(peer, candidates);
      const headers = { "Content-Type": "application/sdp", Authorization: "Bearer secret" };
      const answer = await fetch(url, { method: "POST", headers, body: sdp });
      const text = await answer.text();
      if (answer.status !== 201) throw new Error(`${answer.status} ${text}`);
      await peer.setRemoteDescription({ type: "answer", sdp: only(text, way) });
      const offered = sdp.split("\r\n").filter((line) => line.startsWith("a=candidate:"));
      return { url: answer.headers.get("Location") ?? "", etag: answer.headers.get("ETag") ?? "", links: answer.headers.get("Link"), offered };
    };
    /** By what protocol the server is reached. */
    const wayUsed = async (/** @type {RTCPeerConnection} */ peer) => {
      const all = [...(await peer.getStats()).values()];
      const pair = all.find((one) => one.type === "candidate-pair" && one.nominated);
      return all.find((one) => one.id === pair?.remoteCandidateId)?.protocol ?? "none";
    };
    /** An SDP with the ICE secrets of another text. */
    const withSecrets = (/** @type {string} */ sdp, /** @type {string} */ text) =>
      ["ice-ufrag", "ice-pwd"].reduce((to, name) => {
        const line = RegExp(`a=${name}:.*`, "g");
        return to.replace(line, text.match(line)?.[0] ?? "");
      }, sdp);

    /** Publishes a clock in black and white blocks over something that moves. */
    const publish = async (
      /** @type {string} */ path, /** @type {string} */ way, /** @type {boolean} */ simulcast, candidates = "none", rates = [low_bits, high_bits],
    ) => {
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
      const both = [{ ...low, maxBitrate: rates[0] }, { ...high, maxBitrate: rates[1] }];
      const sendEncodings = simulcast ? both : [{ maxBitrate: rates[1] }];
      const video = peer.addTransceiver(canvas.captureStream(15).getVideoTracks()[0], { direction: "sendonly", sendEncodings });
      const known = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
      video.setCodecPreferences(known.filter((one) => one.mimeType === "video/H264"));
      // A busy machine would make Chromium send smaller pictures.
      await video.sender.setParameters({ ...video.sender.getParameters(), degradationPreference: "maintain-resolution" });
      const connection = await exchange(peer, `/${path}/whip`, way, candidates);
      /** Pictures that left it. */
      const sent = async () => [...(await peer.getStats()).values()].find((one) => one.type === "outbound-rtp")?.framesSent ?? 0;
      return { sent, wayUsed: () => wayUsed(peer), connection };
    };

    /** Plays. */
    const play = async (/** @type {string} */ path, /** @type {string} */ way, candidates = "none") => {
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
      const connection = await exchange(peer, `/${path}/whep`, way, candidates);
      /** ICE restarts (RFC 9725 §4.3.3); what the server said. */
      const restart = async (/** @type {string} */ etag = connection.etag) => {
        const before = peer.remoteDescription?.sdp ?? "";
        peer.restartIce();
        await peer.setLocalDescription(await peer.createOffer());
        const secrets = (peer.localDescription?.sdp ?? "").split("\r\n").filter((line) => /^a=ice-(ufrag|pwd)/.test(line)).slice(0, 2);
        const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag };
        const answer = await fetch(connection.url, { method: "PATCH", headers, body: `${secrets.join("\r\n")}\r\n` });
        const text = await answer.text();
        if (answer.status === 200) await peer.setRemoteDescription({ type: "answer", sdp: withSecrets(before, text) });
        else await peer.setLocalDescription({ type: "rollback" });
        return { status: answer.status, etag: answer.headers.get("ETag") ?? "", before: connection.etag };
      };
      /** Pictures that were whole and in time to be decoded; a busy machine shows some that no script gets to see. */
      const decoded = async () => [...(await peer.getStats()).values()].find((one) => one.type === "inbound-rtp")?.framesDecoded ?? 0;
      return { shown, decoded, wayUsed: () => wayUsed(peer), restart, connection, state: () => peer.iceConnectionState };
    };

    /** @type {Awaited<ReturnType<typeof play>>} */
    let viewer;
    /** @type {Awaited<ReturnType<typeof publish>>} */
    let publisher;
    Object.assign(window, {
      network: {
        publish: async (
          /** @type {string} */ path, /** @type {string} */ way, /** @type {boolean} */ simulcast, /** @type {string | undefined} */ candidates,
          /** @type {number[] | undefined} */ bits,
        ) => {
          publisher = await publish(path, way, simulcast, candidates, bits);
        },
        sent: () => publisher.sent(),
        play: async (/** @type {string} */ path, /** @type {string} */ way, /** @type {string | undefined} */ candidates) => {
          viewer = await play(path, way, candidates);
        },
        now: () => performance.now(),
        shown: (/** @type {number} */ since) => viewer.shown.filter((one) => one.at >= since),
        decoded: () => viewer.decoded(),
        wayUsed: () => viewer.wayUsed(),
        /** Of publisher and viewer: the candidates in their offers, and by what protocol they reach the server. */
        ways: async () => [
          { offered: publisher.connection.offered, used: await publisher.wayUsed() },
          { offered: viewer.connection.offered, used: await viewer.wayUsed() },
        ],
        restart: (/** @type {string | undefined} */ etag) => viewer.restart(etag),
        connection: () => viewer.connection,
        state: () => viewer.state(),
      },
    });
  });
}
