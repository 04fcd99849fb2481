/**
 * Keeps a live picture close to its newest frame: gently by speed, by a jump only when it is far behind.
 * @module
 */

/** How far behind the newest frame the picture is held at first, in seconds. */
export const TARGET_S = 0.7;
/** Each stall adds this to the target, up to the maximum; each calm half minute takes it back. */
const STALL_ADDS_S = 0.15;
const TARGET_S_MAX = 1.1;
const CALM_MS = 30_000;
/** Within this distance of the target the speed stays 1. */
const SLACK_S = 0.2;
/** Further behind than this, catching up by speed would take too long. */
const JUMP_S = 3;
/** A joining viewer gets a whole group at once. In the first moments all but the target of it is jumped over. */
const JOIN_JUMP_S = 1;
const JOIN_MS = 1500;
const RATE_MIN = 0.95;
const RATE_MAX = 1.12;
const STEP_MS = 200;

/**
 * The speed for a distance. Between "fast" and "normal" lies a dead band, so that the speed does not flutter.
 * @param {number} behind seconds behind the newest frame
 * @param {number} target wanted seconds
 * @param {number} rate present speed
 */
export function speed(behind, target, rate) {
  const off = behind - target;
  if (off > SLACK_S || (rate > 1 && off > 0)) return round(Math.min(RATE_MAX, 1.03 + 0.15 * Math.max(0, off)));
  if (off < -2 * SLACK_S || (rate < 1 && off < 0)) return RATE_MIN;
  return 1;
}

/** @param {number} rate */
const round = (rate) => Math.round(rate * 100) / 100;

export class LiveEdge {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    this.target = TARGET_S;
    /** @type {number | null} when the first data was there */
    this.joined = null;
    this.eased = performance.now();
    this.last = { time: -1, at: performance.now() };
    this.listening = new AbortController();
    const { signal } = this.listening;
    video.addEventListener("waiting", () => this.stalled(), { signal });
    this.timer = setInterval(() => this.step(), STEP_MS);
  }

  stop() {
    clearInterval(this.timer);
    this.listening.abort();
    this.video.playbackRate = 1;
  }

  /** Seconds between the newest received frame and the picture. */
  behind() {
    const { buffered, currentTime } = this.video;
    if (buffered.length === 0) return null;
    return Math.max(0, buffered.end(buffered.length - 1) - currentTime);
  }

  /** Goes to the target distance at once, if that is forward. */
  jump() {
    const { buffered } = this.video;
    if (buffered.length === 0) return;
    const newest = buffered.length - 1;
    const to = Math.max(buffered.start(newest), buffered.end(newest) - this.target);
    if (to > this.video.currentTime) this.video.currentTime = to;
  }

  stalled() {
    if (!this.settled() || this.video.seeking) return;
    this.target = Math.min(TARGET_S_MAX, this.target + STALL_ADDS_S);
    this.eased = performance.now();
  }

  settled() {
    return this.joined !== null && performance.now() - this.joined > JOIN_MS;
  }

  step() {
    const { video } = this;
    const behind = this.behind();
    if (behind === null || video.seeking) return;
    this.joined ??= performance.now();
    const settled = this.settled();
    if (video.paused && settled) return;
    if (behind > (settled ? JUMP_S : JOIN_JUMP_S) || this.stuckBeforeGap()) {
      this.jump();
      return;
    }
    this.ease();
    const rate = speed(behind, this.target, video.playbackRate);
    if (rate !== video.playbackRate) video.playbackRate = rate;
  }

  /** After a calm while the target comes closer again. */
  ease() {
    const now = performance.now();
    if (this.target <= TARGET_S || now - this.eased <= CALM_MS) return;
    this.target = Math.max(TARGET_S, this.target - STALL_ADDS_S);
    this.eased = now;
  }

  /** A publisher that came back may leave a hole; the picture stands before it for ever unless it is carried over. */
  stuckBeforeGap() {
    const { video, last } = this;
    const now = performance.now();
    if (video.currentTime !== last.time) {
      this.last = { time: video.currentTime, at: now };
      return false;
    }
    const { buffered } = video;
    return now - last.at > 1000 && buffered.start(buffered.length - 1) > video.currentTime;
  }
}
