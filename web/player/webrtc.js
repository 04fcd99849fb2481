/**
 * WebRTC by WHEP: an offer by HTTP, media by UDP.
 * @module
 */

import { LOST_MS, tend } from "./tend.js";
import { laterOf, troubleOf } from "./transport.js";

const POLL_MS = 500;
/** Without a picture or a sound for so long, the connection is given up. Longer than the server waits for a publisher. */
const STILL_MS = 15_000;
/** An answer to a goodbye isn't waited for any longer. */
const LEAVE_MS = 1000;

/** @type {import("./transport.js").Start} */
export async function playWebrtc(video, url, failed) {
  if (!("RTCPeerConnection" in window)) {
    failed("unsupported");
    return NONE;
  }
  const peer = new RTCPeerConnection();
  const media = new MediaStream();
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.ontrack = ({ track }) => media.addTrack(track);
  watch(peer, () => failed("network"));
  video.srcObject = media;
  const measured = measure(peer, () => failed("network"));
  const answer = await offer(peer, url);
  const tended = "connection" in answer ? tend(peer, answer.connection, received, () => failed("network")) : null;
  if ("trouble" in answer) failed(answer.trouble, answer.detail, answer.later_s);
  // An element that was given nothing to play doesn't begin by itself when all that comes is sound.
  else if (video.srcObject === media && media.getVideoTracks().length === 0) video.srcObject = media;
  return {
    kind: "webrtc",
    latency: () => measured.latest.latency_s,
    bytes: () => measured.latest.bytes,
    freezes: () => measured.latest.freezes,
    // It is never behind.
    toLive: () => {},
    stop: () => {
      measured.stop();
      tended?.stop();
      peer.onconnectionstatechange = null;
      if (video.srcObject === media) video.srcObject = null;
      if ("connection" in answer) leave(peer, answer.connection);
      else peer.close();
    },
  };
}

/** Bytes of media that came in all. @param {any[]} stats */
const received = (stats) => stats.filter((one) => one.type === "inbound-rtp").reduce((sum, one) => sum + one.bytesReceived, 0);

/** @type {import("./transport.js").Transport} */
const NONE = { kind: "webrtc", latency: () => null, bytes: () => 0, toLive: () => {}, stop: () => {} };

/**
 * Exchanges descriptions; the connection's own URL, or why there is none.
 * @param {RTCPeerConnection} peer
 * @param {string} url
 * @returns {Promise<{ connection: string } | { trouble: import("./transport.js").Trouble, detail: string, later_s: number }>}
 */
async function offer(peer, url) {
  try {
    await peer.setLocalDescription(await peer.createOffer());
    const body = peer.localDescription?.sdp;
    const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp" }, body });
    const text = await answer.text();
    if (answer.status !== 201) {
      return { trouble: troubleIn(answer.status), detail: text.trim(), later_s: laterOf(answer) };
    }
    // Of the server that answered: a full one sends its clients to another.
    const connection = new URL(answer.headers.get("Location") ?? "", answer.url).href;
    await peer.setRemoteDescription({ type: "answer", sdp: text });
    return { connection };
  } catch (error) {
    console.warn(error);
    return { trouble: "network", detail: "", later_s: 0 };
  }
}

/**
 * Ends a connection. The server is asked before the connection closes: once it is closed, the server knows it no more.
 * @param {RTCPeerConnection} peer
 * @param {string} connection its URL
 */
export function leave(peer, connection) {
  const close = () => peer.close();
  setTimeout(close, LEAVE_MS);
  fetch(connection, { method: "DELETE", keepalive: true }).catch(() => {}).finally(close);
}

/** @param {number} status @returns {import("./transport.js").Trouble} */
function troubleIn(status) {
  // 406: B-frames, or nothing in it that WebRTC carries; 400: nothing that this browser decodes.
  if (status === 406 || status === 400) return "unfit";
  return troubleOf(status);
}

/**
 * Tells when the connection is lost for good.
 * @param {RTCPeerConnection} peer
 * @param {() => void} lost
 */
function watch(peer, lost) {
  let timer = 0;
  peer.onconnectionstatechange = () => {
    clearTimeout(timer);
    if (peer.connectionState === "failed") lost();
    // Checks go on, and may find another way.
    if (peer.connectionState === "disconnected") timer = setTimeout(() => peer.connectionState === "disconnected" && lost(), LOST_MS);
  };
}

/** @typedef {{ latency_s: number | null, bytes: number, freezes: { count: number, seconds: number } }} Measured */

/**
 * Measures now and then; `over` is told when the server said goodbye, or nothing comes for long.
 * @param {RTCPeerConnection} peer
 * @param {() => void} over
 */
function measure(peer, over) {
  /** @type {Measured} */
  const latest = { latency_s: null, bytes: 0, freezes: { count: 0, seconds: 0 } };
  let before = { delay_s: 0, count: 0 };
  let progress = { at: performance.now(), value: 0 };
  const poll = async () => {
    const all = [...(await peer.getStats()).values()];
    const inbound = all.filter((one) => one.type === "inbound-rtp");
    const video = inbound.find((one) => one.kind === "video");
    const pair = all.find((one) => one.type === "candidate-pair" && one.nominated);
    latest.bytes = received(all);
    if (video) {
      latest.freezes = { count: video.freezeCount ?? 0, seconds: video.totalFreezesDuration ?? 0 };
      const now = delayOf(video);
      const frames = now.count - before.count;
      // From the first packet of a picture to its end in the decoder, and half of the way there and back.
      if (frames > 0) latest.latency_s = (now.delay_s - before.delay_s) / frames + (pair?.currentRoundTripTime ?? 0) / 2;
      before = now;
    }
    const value = latest.bytes;
    if (value !== progress.value) progress = { at: performance.now(), value };
    const still = peer.connectionState === "connected" && performance.now() - progress.at > STILL_MS;
    if (still || peer.getReceivers().some(({ transport }) => transport?.state === "closed")) over();
  };
  const timer = setInterval(() => poll().catch(() => {}), POLL_MS);
  return { latest, stop: () => clearInterval(timer) };
}

/** Seconds that pictures spent in this browser until they were decoded, and how many. @param {any} video */
function delayOf(video) {
  if (video.totalProcessingDelay !== undefined) return { delay_s: video.totalProcessingDelay, count: video.framesDecoded };
  return { delay_s: video.jitterBufferDelay, count: video.jitterBufferEmittedCount };
}
