/**
 * A stage as the server tells it to members and audience, and what a member asks for.
 * @module
 */

/**
 * @typedef {object} Member
 * @property {string} name
 * @property {string} path where it publishes
 * @property {"invited" | "on_stage" | "away"} state
 * @property {boolean} publishes whether media comes from it
 * @property {boolean} audio_muted by who runs the stage: its sound reaches nobody
 * @property {boolean} video_muted
 */

/** @typedef {{ with: string, pictures: string[], ends_in_s: number, token: string | null }} Match */

/**
 * @typedef {object} Stage
 * @property {string} path
 * @property {string} title
 * @property {number} version
 * @property {string | null} you the member whose pass was shown
 * @property {Member[]} members
 * @property {string[]} layout whom the audience is shown
 * @property {Match | null} match
 */

/** @typedef {{ state: "loading" | "known" | "absent" | "refused" | "unreachable", stage: Stage | null, detail: string }} Known */

/** What opens a stage: a member's pass, or the audience's token where the server wants one. @typedef {{ pass: string | null, token: string | null }} Secret */

/** @type {Known} */
export const NOTHING_KNOWN = { state: "loading", stage: null, detail: "" };

/** After an error, and between two answers that say the same. */
const PAUSE_MS = 1000;
/** The server holds a request for 20 s. */
const ANSWER_MS_MAX = 30_000;

/** The server's answer was no. */
export class Refused extends Error {
  /** @param {number} status @param {string} text what the server said */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** @param {string} path as in `live/show` @param {string} below */
function url(path, below = "") {
  return new URL(`/${path.split("/").map(encodeURIComponent).join("/")}/stage${below}`, location.href);
}

/**
 * @param {URL} at
 * @param {RequestInit} options
 * @param {string | null} pass
 */
async function ask(at, options, pass) {
  const headers = new Headers(options.headers);
  if (pass !== null) headers.set("Authorization", `Bearer ${pass}`);
  const answer = await fetch(at, { ...options, headers, cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status, (await answer.text()).trim());
  return answer.json();
}

/**
 * Takes the seat of an invitation.
 * @param {string} path
 * @param {string} invitation
 * @returns {Promise<Stage & { pass: string }>}
 */
export function accept(path, invitation) {
  const headers = { "Content-Type": "application/json" };
  return ask(url(path, "/accept"), { method: "POST", headers, body: JSON.stringify({ invitation }) }, null);
}

/**
 * Goes on the stage again, or leaves it with the seat kept.
 * @param {string} path
 * @param {"join" | "leave"} verb
 * @param {string} pass
 * @returns {Promise<Stage>}
 */
export function step(path, verb, pass) {
  return ask(url(path, `/${verb}`), { method: "POST", keepalive: true }, pass);
}

/**
 * Tells how the stage is, at once and whenever that changes. A refusal is the last word.
 * @param {string} path
 * @param {Secret} secret
 * @param {(known: Known) => void} changed
 * @returns {() => void} ends it
 */
export function follow(path, { pass, token }, changed) {
  const stopping = new AbortController();
  /** @type {Stage | null} */
  let stage = null;

  async function next() {
    const at = url(path);
    if (token !== null) at.searchParams.set("token", token);
    if (stage !== null) at.searchParams.set("after", String(stage.version));
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
    const before = stage?.version;
    stage = /** @type {Stage} */ (await ask(at, { signal }, pass));
    if (!stopping.signal.aborted) changed({ state: "known", stage, detail: "" });
    // A server that holds nobody answers at once.
    return before !== stage.version;
  }

  async function run() {
    while (!stopping.signal.aborted) {
      let isNew = false;
      try {
        isNew = await next();
      } catch (error) {
        if (stopping.signal.aborted) return;
        const status = error instanceof Refused ? error.status : 0;
        const state = status === 404 ? "absent" : status === 403 ? "refused" : "unreachable";
        if (state === "absent") stage = null;
        changed({ state, stage, detail: error instanceof Refused ? error.message : "" });
        if (state === "refused") return;
      }
      if (!isNew) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  run();
  return () => stopping.abort();
}
