/**
 * One broadcast from this browser by WHIP (RFC 9725).
 * @module
 */

import { tend } from "../player/tend.js";
import { leave } from "../player/webrtc.js";

/**
 * @typedef {object} Wish
 * @property {string} path as in `live/mine`
 * @property {string} key a stream key or a token; empty if the server wants none
 * @property {string} codec as in `H264`
 * @property {number} bitrate_bit_s of the best quality
 * @property {boolean} simulcast whether smaller qualities are sent too
 */

/**
 * @typedef {object} Sent
 * @property {number | null} bitrate_bit_s
 * @property {number | null} fps
 * @property {string | null} size
 * @property {number | null} rtt_s
 * @property {number | null} lost packets
 * @property {string} limited `none`, or what keeps the quality down: `cpu`, `bandwidth`, `other`
 */

/** @type {Sent} */
export const NOTHING_SENT = { bitrate_bit_s: null, fps: null, size: null, rtt_s: null, lost: null, limited: "none" };

/** The server's answer was no. */
export class Refused extends Error {
  /** @param {number} status @param {string} text what the server said */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Smaller qualities: by how much smaller each side is, and their share of the bitrate. */
const QUALITIES = [
  { rid: "q", scaleResolutionDownBy: 4, share: 0.08 },
  { rid: "h", scaleResolutionDownBy: 2, share: 0.3 },
  { rid: "f", scaleResolutionDownBy: 1, share: 1 },
];

/** The server keeps a publisher that it doesn't hear for so long, and cameras are not to go off before. */
const LOST_MS = 15_000;

/** Bytes that came in all: who sends hears ten times a second what of it arrived. @param {any[]} stats */
const reported = (stats) => stats.filter((one) => one.type === "transport").reduce((sum, one) => sum + one.bytesReceived, 0);

/** An answer that takes longer counts as none. */
const HEALTH_MS_MAX = 5000;

export class Sender {
  /**
   * @param {RTCPeerConnection} peer
   * @param {string} connection the connection's own URL
   * @param {{ url: string, headers: Record<string, string> }} overseen where the server says how it comes in, and to whom
   * @param {() => void} lost
   */
  constructor(peer, connection, overseen, lost) {
    this.peer = peer;
    this.tended = tend(peer, connection, reported, lost, LOST_MS);
    this.connection = connection;
    this.overseen = overseen;
    this.before = { at: 0, bytes: 0 };
  }

  /**
   * Publishes. A refusal is thrown as {@link Refused}.
   * @param {MediaStream} media
   * @param {Wish} wish
   * @param {() => void} lost
   */
  static async begin(media, wish, lost) {
    const peer = new RTCPeerConnection();
    peer.onconnectionstatechange = () => peer.connectionState === "failed" && lost();
    try {
      media.getTracks().forEach((track) => send(peer, track, media, wish));
      await peer.setLocalDescription(await peer.createOffer());
      const url = new URL(`/${wish.path.split("/").map(encodeURIComponent).join("/")}/whip`, location.href);
      const credential = /** @type {Record<string, string>} */ (wish.key === "" ? {} : { Authorization: `Bearer ${wish.key}` });
      const headers = { ...credential, "Content-Type": "application/sdp" };
      const answer = await fetch(url, { method: "POST", headers, body: peer.localDescription?.sdp });
      const text = await answer.text();
      if (answer.status !== 201) throw new Refused(answer.status, text.trim());
      await peer.setRemoteDescription({ type: "answer", sdp: text });
      const overseen = { url: new URL("health", answer.url).href, headers: credential };
      return new Sender(peer, new URL(answer.headers.get("Location") ?? "", answer.url).href, overseen, lost);
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  /** Ends the broadcast. */
  stop() {
    this.tended.stop();
    this.peer.onconnectionstatechange = null;
    leave(this.peer, this.connection);
  }

  /** How it comes in, as the server sees it. @returns {Promise<import("../parts/health.js").HealthFull>} */
  async health() {
    const { url, headers } = this.overseen;
    const answer = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(HEALTH_MS_MAX) });
    if (!answer.ok) throw new Refused(answer.status, (await answer.text()).trim());
    return answer.json();
  }

  /** What is sent now. @returns {Promise<Sent>} */
  async sample() {
    const all = [...(await this.peer.getStats()).values()];
    const out = all.filter((one) => one.type === "outbound-rtp");
    const told = all.filter((one) => one.type === "remote-inbound-rtp");
    const best = out.filter((one) => one.kind === "video" && one.frameWidth).sort((a, b) => b.frameWidth - a.frameWidth)[0];
    const now = { at: performance.now(), bytes: out.reduce((sum, one) => sum + one.bytesSent, 0) };
    const { before } = this;
    this.before = now;
    const pair = all.find((one) => one.type === "candidate-pair" && one.nominated);
    return {
      bitrate_bit_s: before.at === 0 ? null : ((now.bytes - before.bytes) * 8000) / (now.at - before.at),
      fps: best?.framesPerSecond ?? null,
      size: best ? `${best.frameWidth}×${best.frameHeight}` : null,
      rtt_s: pair?.currentRoundTripTime ?? null,
      lost: told.length > 0 ? told.reduce((sum, one) => sum + Math.max(0, one.packetsLost), 0) : null,
      limited: best?.qualityLimitationReason ?? "none",
    };
  }
}

/**
 * @param {RTCPeerConnection} peer
 * @param {MediaStreamTrack} track
 * @param {MediaStream} media
 * @param {Wish} wish
 */
function send(peer, track, media, wish) {
  if (track.kind === "audio") {
    peer.addTransceiver(track, { direction: "sendonly", streams: [media] });
    return;
  }
  const qualities = wish.simulcast ? QUALITIES : [{ share: 1 }];
  const sendEncodings = qualities.map(({ share, ...quality }) => ({ ...quality, maxBitrate: Math.round(wish.bitrate_bit_s * share) }));
  const video = peer.addTransceiver(track, { direction: "sendonly", streams: [media], sendEncodings });
  const known = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const wanted = known.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${wish.codec.toLowerCase()}`);
  // Packets of their own for what is sent again.
  if (wanted.length > 0) video.setCodecPreferences([...wanted, ...known.filter(({ mimeType }) => mimeType === "video/rtx")]);
}
