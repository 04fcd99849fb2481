/**
 * The list of what is live, asked for every few seconds.
 * @module
 */

/**
 * @typedef {object} Broadcast
 * @property {string} path as in `live/demo`
 * @property {number} viewers
 * @property {number} kbit_s mean bitrate since it began
 * @property {string | null} video codec and size
 * @property {string | null} audio codec and rate
 * @property {number} since_s seconds since it began
 * @property {string[]} opposite what is shown beside it while it is in a match
 */

/**
 * @typedef {object} Live
 * @property {"loading" | "known" | "unreachable"} state
 * @property {Broadcast[]} broadcasts the last known list
 * @property {number | null} publishPort where the server listens for RTMP, as soon as it said so
 * @property {number} transit_s half a round trip to the server, the least of the last few
 */

const POLL_MS = 3000;
/** An answer that takes longer counts as none. */
const ANSWER_MS_MAX = 5000;
/** So many round trips are remembered; the least of them has no waiting in it. */
const ROUND_TRIPS_MAX = 10;

/** @type {Live} */
export const NOTHING_KNOWN = { state: "loading", broadcasts: [], publishPort: null, transit_s: 0 };

/**
 * Tells `changed` the list at once and then every three seconds.
 * @param {(live: Live) => void} changed
 * @returns {() => void} ends it
 */
export function follow(changed) {
  const roundTrips = /** @type {number[]} */ ([]);
  let live = NOTHING_KNOWN;
  let stopped = false;
  let timer = 0;

  async function ask() {
    try {
      const { broadcasts, publish_port: publishPort } = await fetchList();
      roundTrips.push(roundTrip_s());
      if (roundTrips.length > ROUND_TRIPS_MAX) roundTrips.shift();
      live = { state: "known", broadcasts, publishPort, transit_s: Math.min(...roundTrips) / 2 };
    } catch {
      live = { ...live, state: "unreachable" };
    }
    if (stopped) return;
    changed(live);
    timer = setTimeout(ask, POLL_MS);
  }

  ask();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** @returns {Promise<{ broadcasts: Broadcast[], publish_port: number }>} */
async function fetchList() {
  const answer = await fetch("/api/broadcasts", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  if (!answer.ok) throw new Error(`the list answered ${answer.status}`);
  return answer.json();
}

/** Seconds from the last list request to the first byte of its answer. */
function roundTrip_s() {
  const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"))
    .filter((entry) => entry.name.endsWith("/api/broadcasts"));
  const last = entries.at(-1);
  // The browser keeps 250 entries; a page that stays open for hours needs the room again.
  performance.clearResourceTimings();
  return last ? Math.max(0, last.responseStart - last.requestStart) / 1000 : 0;
}
