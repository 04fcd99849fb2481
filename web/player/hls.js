/**
 * LL-HLS by hls.js.
 * @module
 */

import { troubleOf } from "./transport.js";

/** @typedef {typeof import("hls.js").default} HlsClass */

/** Media behind the picture that is kept for the seek bar, in seconds. */
const BACK_BUFFER_S = 30;
/** Catching up faster than this is heard. */
const RATE_MAX = 1.1;
/** Further behind its target than this, the picture jumps; hls.js catches up by speed only when it is nearer. */
const JUMP_S = 5;
/** A second decoding error within this time is not worth another repair in place. */
const REPAIR_AGAIN_MS = 10_000;

/** @type {import("./transport.js").Start} */
export async function playHls(video, url, failed) {
  const Hls = await library();
  const hls = new Hls({
    lowLatencyMode: true,
    // Its worker would come from a blob: address, which the page's content policy forbids. CMAF needs little work.
    enableWorker: false,
    backBufferLength: BACK_BUFFER_S,
    liveDurationInfinity: true,
    maxLiveSyncPlaybackRate: RATE_MAX,
  });
  let bytes = 0;
  let repaired = -Infinity;
  hls.on(Hls.Events.FRAG_BUFFERED, (_, data) => {
    bytes += data.stats.total || data.stats.loaded;
  });
  // The server keeps the end of a finished broadcast for a while. Who watched may see it out; who comes now waits.
  let wasLive = false;
  hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => {
    if (!details.live && !wasLive) failed("absent");
    wasLive ||= details.live;
  });
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - repaired > REPAIR_AGAIN_MS &&
        !CODEC_ERRORS.includes(data.details)) {
      repaired = performance.now();
      hls.recoverMediaError();
      return;
    }
    failed(troubleIn(data));
  });
  const toLive = () => {
    if (hls.liveSyncPosition !== null) video.currentTime = hls.liveSyncPosition;
  };
  const stopJumping = jumpWhenLeftBehind(video, () => hls.latency - (hls.targetLatency ?? 0), toLive);
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    kind: "hls",
    latency: () => hls.latency || null,
    bytes: () => bytes,
    toLive,
    stop: () => {
      stopJumping();
      hls.destroy();
    },
  };
}

/**
 * A long stall leaves the picture far behind, and nobody wants that. A viewer who goes back on the seek bar does.
 * @param {HTMLVideoElement} video
 * @param {() => number} late seconds behind the target
 * @param {() => void} jump
 * @returns {() => void} ends it
 */
function jumpWhenLeftBehind(video, late, jump) {
  const ended = new AbortController();
  const { signal } = ended;
  let last = 0;
  let wentBack = false;
  video.addEventListener("seeking", () => {
    wentBack = video.currentTime < last;
  }, { signal });
  video.addEventListener("timeupdate", () => {
    last = video.currentTime;
    if (!wentBack && !video.paused && !video.seeking && late() > JUMP_S) jump();
  }, { signal });
  return () => ended.abort();
}

/** The browser's own HLS player, where scripts may not feed media. @type {import("./transport.js").Start} */
export async function playNative(video, url, failed) {
  const ended = new AbortController();
  const { signal } = ended;
  const edge = () => (video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : null);
  video.addEventListener("error", () => {
    // The element does not say which status it met, so ask.
    fetch(url, { method: "HEAD", signal })
      .then((answer) => failed(answer.ok ? "media" : troubleOf(answer.status)))
      .catch(() => signal.aborted || failed("network"));
  }, { signal });
  video.addEventListener("loadedmetadata", () => Number.isFinite(video.duration) && failed("absent"), { signal });
  video.src = url;
  return {
    kind: "native",
    latency: () => {
      const end = edge();
      return end === null ? null : Math.max(0, end - video.currentTime);
    },
    bytes: () => 0,
    toLive: () => {
      const end = edge();
      if (end !== null) video.currentTime = end;
    },
    stop: () => {
      ended.abort();
      video.removeAttribute("src");
      video.load();
    },
  };
}

const CODEC_ERRORS = /** @type {string[]} */ ([
  "manifestIncompatibleCodecsError",
  "bufferAddCodecError",
  "bufferIncompatibleCodecsError",
]);

/** @param {import("hls.js").ErrorData} data @returns {import("./transport.js").Trouble} */
function troubleIn(data) {
  if (CODEC_ERRORS.includes(data.details)) return "codec";
  if (data.type === "mediaError") return "media";
  return troubleOf(data.response?.code);
}

/** @returns {Promise<HlsClass>} */
async function library() {
  const url = new URL("../vendor/hls.min.mjs", import.meta.url).href;
  return (await import(url)).default;
}
