/**
 * What the player measures while it plays.
 * @module
 */

/**
 * @typedef {object} Figures
 * @property {number | null} latency_s
 * @property {number | null} bitrate_bit_s
 * @property {number | null} dropped frames
 * @property {number} frames shown and dropped
 * @property {number} rebuffers
 * @property {number} rebuffer_s
 * @property {number} rate playback speed
 */

/** @type {Figures} */
export const NO_FIGURES = {
  latency_s: null, bitrate_bit_s: null, dropped: null, frames: 0, rebuffers: 0, rebuffer_s: 0, rate: 1,
};

/** Bitrate is the mean over this time: some groups of frames long, so that keyframes do not make it jump. */
const BITRATE_WINDOW_MS = 8000;
/** Too little time to call a mean. */
const BITRATE_FIRST_MS = 2000;
/** The burst at the start is over after this. */
const JOIN_MS = 1000;

export class Stats {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.rebuffers = 0;
    this.rebuffered_ms = 0;
    /** @type {number | null} when the picture stopped for want of data */
    this.stoodStill = null;
    this.shown = false;
    this.shownSince = 0;
    /** @type {{ at: number, bytes: number }[]} */
    this.arrivals = [];
    this.listening = new AbortController();
    const { signal } = this.listening;
    video.addEventListener("waiting", () => this.waiting(), { signal });
    for (const name of ["playing", "pause"]) video.addEventListener(name, () => this.moves(), { signal });
    video.addEventListener("timeupdate", () => video.readyState > 2 && this.moves(), { signal });
  }

  stop() {
    this.listening.abort();
  }

  waiting() {
    // Seeking waits too, but nobody lacks data then; before the first picture it is the start, not a rebuffer.
    if (!this.shown || this.video.seeking || this.stoodStill !== null) return;
    this.stoodStill = performance.now();
    this.rebuffers += 1;
  }

  moves() {
    if (!this.video.paused && !this.shown) {
      this.shown = true;
      this.shownSince = performance.now();
    }
    if (this.stoodStill === null) return;
    this.rebuffered_ms += performance.now() - this.stoodStill;
    this.stoodStill = null;
  }

  /** A new connection counts its bytes from zero. */
  reconnected() {
    this.arrivals = [];
  }

  /**
   * @param {import("./transport.js").Transport | null} transport
   * @param {number} transit_s added to what an FLV buffer holds
   * @returns {Figures}
   */
  sample(transport, transit_s) {
    const { video } = this;
    const quality = video.getVideoPlaybackQuality?.();
    const latency = transport?.latency() ?? null;
    const freezes = transport?.freezes?.() ?? { count: 0, seconds: 0 };
    const standing = this.stoodStill === null ? 0 : performance.now() - this.stoodStill;
    return {
      latency_s: latency === null || !this.shown ? null : latency + (transport?.kind === "flv" ? transit_s : 0),
      bitrate_bit_s: this.bitrate(transport),
      dropped: quality ? quality.droppedVideoFrames : null,
      frames: quality ? quality.totalVideoFrames : 0,
      rebuffers: this.rebuffers + freezes.count,
      rebuffer_s: freezes.seconds + (this.rebuffered_ms + standing) / 1000,
      rate: video.playbackRate,
    };
  }

  /** @param {import("./transport.js").Transport | null} transport */
  bitrate(transport) {
    // The burst that a joining viewer gets says nothing about the broadcast.
    if (!transport || transport.kind === "native" || !this.shown) return null;
    const now = performance.now();
    if (now - this.shownSince < JOIN_MS) return null;
    const bytes = transport.bytes();
    this.arrivals.push({ at: now, bytes });
    while (this.arrivals[0].at < now - BITRATE_WINDOW_MS) this.arrivals.shift();
    const first = this.arrivals[0];
    if (now - first.at < BITRATE_FIRST_MS) return null;
    return (bytes - first.bytes) * 8000 / (now - first.at);
  }
}
