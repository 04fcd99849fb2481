/**
 * Looking after a connection by WHIP or WHEP: another way is looked for when this one seems to be lost.
 * @module
 */

import { restartIce } from "./ice-restart.js";
import { LOOK_MS, Silence } from "./silence.js";

/** A path that is lost comes back within this, or never. */
export const LOST_MS = 4000;
/** A server that didn't answer is asked again after so long. */
const RETRY_MS = 2000;

/**
 * Looks for another way when this one seems to be lost, as when the address changed: by then the browser itself would only wait.
 * @param {RTCPeerConnection} peer
 * @param {string} connection its URL
 * @param {(stats: any[]) => number} received what came from the server in all, in bytes
 * @param {() => void} lost is told when there is none
 * @param {number} lost_ms without any answer, until it counts as lost
 */
export function tend(peer, connection, received, lost, lost_ms = LOST_MS) {
  const silence = new Silence();
  /** How many checks the server answered, by pair of addresses, and when it did so last. @type {Map<string, number>} */
  const answers = new Map();
  let answered = 0;
  /** When the server didn't answer to an attempt; ms. @type {number | null} */
  let unreachable = null;
  let busy = false;
  const look = async () => {
    const all = [...(await peer.getStats()).values()];
    const now = performance.now();
    const due = silence.hear(now, received(all));
    if (silence.length(now) < RETRY_MS) unreachable = null;
    for (const { id, responsesReceived: count } of all.filter((one) => one.type === "candidate-pair")) {
      if (count > (answers.get(id) ?? 0)) answered = now;
      answers.set(id, count);
    }
    if (due || (unreachable !== null && now - unreachable > RETRY_MS)) {
      const done = await restartIce(peer, connection);
      unreachable = done === "unreachable" ? now : null;
      if (done === "refused") lost();
    // A publisher who pauses is waited for, as long as the server is there.
    } else if (silence.length(now) > lost_ms && now - answered > lost_ms) lost();
  };
  const timer = setInterval(async () => {
    if (busy) return;
    busy = true;
    await look().catch(() => {});
    busy = false;
  }, LOOK_MS);
  return { stop: () => clearInterval(timer) };
}
