/**
 * What every way of delivery offers to the session: a name for troubles, and one shape of transport.
 * @module
 */

/**
 * Why playback ended. `unfit`: this broadcast can't be delivered this way. `absent`, `network` and `media` may heal by themselves, the others need a person.
 * @typedef {"absent" | "network" | "media" | "codec" | "unfit" | "unsupported" | "refused" | "library"} Trouble
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
 * Starts a transport. What `failed` says after the first time does not count; `detail` is what the server said.
 * @typedef {(video: HTMLVideoElement, url: string, failed: (trouble: Trouble, detail?: string) => void) => Promise<Transport>} Start
 */

/** The trouble that an HTTP status means. @param {number | undefined} code @returns {Trouble} */
export function troubleOf(code) {
  if (code === 404) return "absent";
  if (code === 401 || code === 403) return "refused";
  return "network";
}

/** Whether the browser takes media from scripts. iPhones before iOS 17.1 do not. */
export function takesMedia() {
  return "MediaSource" in window || "ManagedMediaSource" in window;
}
