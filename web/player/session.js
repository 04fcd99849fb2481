/**
 * One viewer watching one broadcast: connects, watches over it, connects again.
 * @module
 */

import { mediaUrl } from "../address.js";
import { playFlv } from "./flv.js";
import { playHls, playNative } from "./hls.js";
import { Stats } from "./stats.js";
import { takesMedia } from "./transport.js";
import { playWebrtc } from "./webrtc.js";

/**
 * - `connecting` nothing shown yet · `playing` · `buffering` the picture stands, data will come
 * - `silent` it stands for a while · `paused` by the viewer · `parked` paused so long that the connection was given up
 * - `blocked` the browser wants a click first · `retrying` a pause before the next attempt · `failed` needs a person
 * @typedef {"connecting" | "playing" | "buffering" | "silent" | "paused" | "parked" | "blocked" | "retrying" | "failed"}
 *   Phase
 */

/**
 * @typedef {{ phase: Phase, trouble: import("./transport.js").Trouble | null, detail: string }} Status `detail`: what the server said
 */

/** Pauses before new attempts. Each is shortened at random, so that a crowd does not come back in one moment. */
const BACKOFF_MS = [1000, 2000, 4000, 8000];
const JITTER = 0.4;
const WATCH_MS = 500;
/** A picture that stands so long is told as the publisher's silence … */
const SILENT_MS = 3000;
/** … and after so long as a broken connection. Longer than the server waits for a publisher to come back. */
const BROKEN_MS = 15_000;
/** Playing for so long makes the next trouble a first one again. */
const STEADY_MS = 5000;
/** A paused connection goes on filling memory, so it is given up after a while. */
const PARK_MS = 60_000;

/** Troubles that come back unless a person changes something. */
const LASTING = ["codec", "unfit", "unsupported", "refused", "library"];

export class Session {
  /**
   * @param {HTMLVideoElement} video
   * @param {string} path
   * @param {{ via: import("../address.js").Via, credentials: string }} how
   * @param {(status: Status) => void} changed
   */
  constructor(video, path, { via, credentials }, changed) {
    this.video = video;
    this.path = path;
    this.via = via;
    this.credentials = credentials;
    this.changed = changed;
    this.stats = new Stats(video);
    /** @type {import("./transport.js").Transport | null} */
    this.transport = null;
    /** @type {Status} */
    this.status = { phase: "connecting", trouble: null, detail: "" };
    this.since = performance.now();
    this.attempt = 0;
    /** Tells answers to an earlier connection apart. */
    this.generation = 0;
    this.retryTimer = 0;
    this.listed = false;
    this.listening = new AbortController();
    this.listen();
    this.watchTimer = setInterval(() => this.watch(), WATCH_MS);
    this.connect();
  }

  listen() {
    const { video } = this;
    const on = (/** @type {string} */ name, /** @type {() => void} */ action) =>
      video.addEventListener(name, action, { signal: this.listening.signal });
    on("playing", () => this.turn("playing"));
    on("waiting", () => this.status.phase === "playing" && this.turn("buffering"));
    on("canplay", () => this.status.phase === "connecting" && this.play());
    on("pause", () => ["playing", "buffering", "silent"].includes(this.status.phase) && this.turn("paused"));
    on("play", () => this.resumed());
    on("ended", () => this.failed("absent"));
  }

  stop() {
    clearInterval(this.watchTimer);
    this.listening.abort();
    this.stats.stop();
    this.disconnect();
  }

  async connect() {
    this.disconnect();
    const { generation, video } = this;
    this.turn("connecting", this.status.trouble);
    this.stats.reconnected();
    const failed = (/** @type {import("./transport.js").Trouble} */ trouble, detail = "", later_s = 0) =>
      this.generation === generation && this.failed(trouble, detail, later_s);
    try {
      const transport = await this.start()(video, mediaUrl(this.path, this.via, this.credentials), failed);
      // Another connection may have begun, or this one may have failed, while the library was loading.
      if (this.generation === generation) this.transport = transport;
      else transport.stop();
    } catch (error) {
      console.warn(error);
      failed("library");
    }
  }

  /** @returns {import("./transport.js").Start} */
  start() {
    if (this.via === "webrtc") return playWebrtc;
    if (this.via === "hls") return takesMedia() ? playHls : playNative;
    return playFlv;
  }

  disconnect() {
    this.generation += 1;
    clearTimeout(this.retryTimer);
    this.transport?.stop();
    this.transport = null;
  }

  /** Starts the picture; also the answer to the viewer's Play button. */
  async play() {
    try {
      await this.video.play();
    } catch (error) {
      const refused = error instanceof DOMException && error.name === "NotAllowedError";
      if (refused) this.turn("blocked");
    }
  }

  resumed() {
    const { phase } = this.status;
    if (phase === "parked") this.connect();
    else if (phase === "paused") this.transport?.toLive();
  }

  /** Tries again at once. */
  tryNow() {
    this.attempt = 0;
    this.connect();
  }

  /** What the list says about this broadcast. Its appearance ends a pause. @param {boolean} listed */
  tell(listed) {
    const appeared = listed && !this.listed;
    this.listed = listed;
    // A server that is full says itself when to come again.
    const waits = this.status.phase === "retrying" && this.status.trouble !== "busy";
    if (appeared && waits && this.attempt > 1) this.tryNow();
  }

  /**
   * @param {import("./transport.js").Trouble} trouble
   * @param {string} detail what the server said
   * @param {number} later_s how long it wants to be left alone, in seconds
   */
  failed(trouble, detail = "", later_s = 0) {
    this.disconnect();
    if (LASTING.includes(trouble)) {
      this.turn("failed", trouble, detail);
      return;
    }
    // Waiting for a publisher is not waiting for data.
    if (trouble === "absent") this.stats.moves();
    const pause = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)];
    this.attempt += 1;
    this.turn("retrying", trouble);
    // Not before the server wants it, and not all at once then.
    const random = Math.random() * JITTER;
    const wait = later_s > 0 ? Math.max(later_s * 1000, pause) * (1 + random) : pause * (1 - random);
    this.retryTimer = setTimeout(() => this.connect(), wait);
  }

  watch() {
    const { phase } = this.status;
    const lasted = performance.now() - this.since;
    if (phase === "playing" && lasted > STEADY_MS) this.attempt = 0;
    if (phase === "buffering" && lasted > SILENT_MS) this.turn("silent");
    if ((phase === "silent" || phase === "connecting") && lasted > BROKEN_MS) this.failed("network");
    if (phase === "paused" && lasted > PARK_MS) {
      this.disconnect();
      this.turn("parked");
    }
  }

  /** @param {Phase} phase @param {import("./transport.js").Trouble | null} trouble @param {string} detail */
  turn(phase, trouble = null, detail = "") {
    if (this.status.phase === phase && this.status.trouble === trouble) return;
    this.status = { phase, trouble, detail };
    this.since = performance.now();
    this.changed(this.status);
  }
}
