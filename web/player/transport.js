/**
 * What every way of delivery offers to the session: a name for troubles, and one shape of transport.
 * @module
 */

/**
 * Why playback ended. `unfit`: this broadcast can't be delivered this way. `busy`: the server has no room now. `absent`,
 * `network`, `busy` and `media` may heal by themselves, the others need a person.
 * @typedef {"absent" | "network" | "busy" | "media" | "codec" | "unfit" | "unsupported" | "refused" | "library"} Trouble
 */

/**
 * Media on its way into a video element.
 * @typedef {object} Transport
 * @property {"hls" | "native" | "flv" | "webrtc"} kind decides how its latency is explained
 * @property {() => number | null} latency seconds behind the newest media, if known
 * @property {() => number} bytes received since it began
 * @property {() => { count: number, seconds: number }} [freezes] how often and how long the picture stood still, where the video
 *   element doesn't tell
 * @property {() => void} toLive jumps to the live picture
 * @property {() => void} stop ends it; the video element is free afterwards
 */

/**
 * Starts a transport. What `failed` says after the first time does not count; `detail` is what the server said,
 * `later_s` how long it wants to be left alone.
 * @typedef {(trouble: Trouble, detail?: string, later_s?: number) => void} Failed
 * @typedef {(video: HTMLVideoElement, url: string, failed: Failed) => Promise<Transport>} Start
 */

/** The trouble that an HTTP status means. @param {number | undefined} code @returns {Trouble} */
export function troubleOf(code) {
  if (code === 404) return "absent";
  if (code === 401 || code === 403) return "refused";
  if (code === 429 || code === 503) return "busy";
  return "network";
}

/** No viewer waits longer than this without asking. */
const LATER_S_MAX = 120;

/** When the server wants to be asked again, in seconds; 0 if it doesn't say. RFC 9110 §10.2.3. @param {Response} answer */
export function laterOf(answer) {
  const told = answer.headers.get("Retry-After");
  if (!told) return 0;
  const seconds = /^\d+$/.test(told) ? Number(told) : (Date.parse(told) - Date.now()) / 1000;
  return seconds > 0 ? Math.min(seconds, LATER_S_MAX) : 0;
}

/** Whether the browser takes media from scripts. iPhones before iOS 17.1 do not. */
export function takesMedia() {
  return "MediaSource" in window || "ManagedMediaSource" in window;
}
