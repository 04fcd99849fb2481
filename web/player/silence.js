/**
 * When a silence looks like a lost way: nothing came for much longer than usual. Pure; the caller has the clock.
 * @module
 */

/** How often it is to be told what came. */
export const LOOK_MS = 200;
/** Sound comes fifty times a second, pictures some ten times: so long a silence is none of theirs. */
const SILENT_MS = 700;
/** What comes rarely, as a still picture without sound, is silent only for longer than twice its usual pause. */
const USUAL_FACTOR = 2;
/** Pauses are remembered for so long. */
const USUAL_MS = 10_000;
/** The beginning is uneven. */
const STEADY_MS = 1000;
/** A network that isn't there yet gets another attempt after so long. */
const AGAIN_MS = 1500;
/** A publisher who pauses is silent too, and no attempt helps: no more than these … */
const ATTEMPTS_MAX = 2;
/** … within so long. */
const WITHIN_MS = 30_000;

export class Silence {
  constructor() {
    this.bytes = 0;
    /** When something came first, and last; ms. @type {number | null} */
    this.began = null;
    this.at = 0;
    this.looked = 0;
    /** @type {{ at: number, pause: number }[]} */
    this.pauses = [];
    /** When the way was to be tried anew. @type {number[]} */
    this.attempts = [];
    /** How often within this silence. */
    this.tried = 0;
  }

  /**
   * How many bytes came in all. True if the way is to be tried anew.
   * @param {number} now ms
   * @param {number} bytes
   */
  hear(now, bytes) {
    // A browser that sleeps, or is slow, heard nothing meanwhile.
    if (this.looked > 0) this.at += Math.max(0, now - this.looked - 2 * LOOK_MS);
    this.looked = now;
    if (bytes !== this.bytes) {
      this.came(now, bytes);
      return false;
    }
    const began = this.began ?? now;
    const steady = this.at - began >= STEADY_MS;
    if (!steady || this.tried >= ATTEMPTS_MAX || this.length(now) < this.patience() + this.tried * AGAIN_MS) return false;
    this.attempts = this.attempts.filter((at) => now - at < WITHIN_MS);
    if (this.attempts.length >= ATTEMPTS_MAX) return false;
    this.attempts.push(now);
    this.tried += 1;
    return true;
  }

  /** How long nothing came, ms. @param {number} now */
  length(now) {
    return this.began === null ? 0 : now - this.at;
  }

  /** @param {number} now @param {number} bytes */
  came(now, bytes) {
    if (this.began !== null) this.pauses.push({ at: now, pause: now - this.at });
    this.pauses = this.pauses.filter(({ at }) => now - at < USUAL_MS);
    this.began ??= now;
    [this.at, this.bytes, this.tried] = [now, bytes, 0];
  }

  /** How long a silence may be. The longest pause of late may have been a lost way; what is usual came twice. */
  patience() {
    const usual = this.pauses.map(({ pause }) => pause).sort((a, b) => b - a)[1] ?? 0;
    return Math.max(SILENT_MS, USUAL_FACTOR * usual);
  }
}
