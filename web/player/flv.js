/**
 * FLV over HTTP or WebSocket by mpegts.js.
 * @module
 */

import { loaderClass } from "./flv-loader.js";
import { LiveEdge } from "./live-edge.js";
import { troubleOf } from "./transport.js";

/** Media behind the picture: cleaned down to the lower value once it exceeds the upper one, in seconds. */
const BACK_BUFFER_S = { min: 15, max: 30 };

/** @type {import("./transport.js").Start} */
export async function playFlv(video, url, failed) {
  const mpegts = await library();
  if (!mpegts.getFeatureList().mseLivePlayback) {
    failed("unsupported");
    return NONE;
  }
  let bytes = 0;
  let later_s = 0;
  const player = mpegts.createPlayer({ type: "flv", isLive: true, url }, {
    // Data goes to the decoder as it comes. Catching up is LiveEdge's work: by speed, not by jumps.
    enableStashBuffer: false,
    lazyLoad: false,
    liveBufferLatencyChasing: false,
    liveSync: false,
    autoCleanupSourceBuffer: true,
    autoCleanupMaxBackwardDuration: BACK_BUFFER_S.max,
    autoCleanupMinBackwardDuration: BACK_BUFFER_S.min,
    customLoader: loaderClass(mpegts, (count) => {
      bytes += count;
    }, (seconds) => {
      later_s = seconds;
    }),
  });
  player.on(mpegts.Events.ERROR, (type, detail, info) => failed(troubleIn(type, detail, info), "", later_s));
  player.on(mpegts.Events.LOADING_COMPLETE, () => failed("network"));
  player.attachMediaElement(video);
  const edge = new LiveEdge(video);
  player.load();
  return {
    kind: "flv",
    latency: () => edge.behind(),
    bytes: () => bytes,
    toLive: () => edge.jump(),
    stop: () => {
      edge.stop();
      player.destroy();
    },
  };
}

/** @type {import("./transport.js").Transport} */
const NONE = { kind: "flv", latency: () => null, bytes: () => 0, toLive: () => {}, stop: () => {} };

/**
 * @param {string} type
 * @param {string} detail
 * @param {{ code?: number, msg?: string } | undefined} info
 * @returns {import("./transport.js").Trouble}
 */
function troubleIn(type, detail, info) {
  if (detail === "CodecUnsupported" || detail === "FormatUnsupported") return "codec";
  // The browser's refusal of a codec comes as a failed addSourceBuffer.
  if (detail === "MediaMSEError" && /addSourceBuffer|not supported/i.test(info?.msg ?? "")) return "codec";
  if (type === "MediaError") return "media";
  return troubleOf(info?.code);
}

/** @type {Promise<typeof import("mpegts.js").default> | undefined} */
let loading;

/** The library is a plain script that sets a global. */
function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../vendor/mpegts.js", import.meta.url).href;
    script.onload = () => {
      const mpegts = /** @type {any} */ (window).mpegts;
      Object.assign(mpegts.LoggingControl, { enableVerbose: false, enableDebug: false, enableInfo: false, enableWarn: false, enableError: false });
      resolve(mpegts);
    };
    script.onerror = () => {
      loading = undefined;
      reject(new Error("mpegts.js did not load"));
    };
    document.head.append(script);
  });
  return loading;
}
