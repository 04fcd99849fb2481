/**
 * Live broadcasts as links.
 * @module
 */

import { address } from "../address.js";
import { texts } from "../texts.js";
import { html } from "../ui.js";

/** @typedef {import("../broadcasts.js").Broadcast} Broadcast */
/** @typedef {import("../address.js").Place} Place */

/** A path with its last part set off. @param {{ path: string }} props */
export function Name({ path }) {
  const cut = path.lastIndexOf("/") + 1;
  return html`<span class="name" dir="auto"><span class="above">${path.slice(0, cut)}</span>${path.slice(cut)}</span>`;
}

/**
 * @param {{
 *   broadcasts: Broadcast[], via: import("../address.js").Via, current?: string,
 *   go: (to: Place) => void, follows: typeof import("../app.js").follows,
 * }} props
 */
export function BroadcastList({ broadcasts, via, current, go, follows }) {
  return html`
    <ul class="broadcasts">
      ${broadcasts.map((broadcast) => {
        const to = { path: broadcast.path, via };
        const here = broadcast.path === current;
        return html`
          <li key=${broadcast.path}>
            <a class="card" href=${address(to)} data-broadcast=${broadcast.path}
              aria-current=${here ? "page" : undefined} onClick=${follows(() => go(to))}>
              <${Name} path=${broadcast.path} />
              <span class="facts">${facts(broadcast).map((fact) => html`<span>${fact}</span>`)}</span>
            </a>
          </li>`;
      })}
    </ul>`;
}

/** @param {Broadcast} broadcast */
export function facts(broadcast) {
  return [
    broadcast.video === null ? texts.list.soundOnly : codec(broadcast.video),
    broadcast.audio,
    bitrate(broadcast.kbit_s),
    texts.list.viewers(broadcast.viewers),
    texts.list.since(duration(broadcast.since_s)),
  ].filter((fact) => fact !== null);
}

/** `H264 1280x720` as people write it. @param {string} text */
function codec(text) {
  return text.replace(/^H26(\d)/, "H.26$1").replace(/(\d)x(\d)/, "$1×$2");
}

/** @param {number} kbit_s */
function bitrate(kbit_s) {
  return kbit_s >= 1000 ? `${(kbit_s / 1000).toFixed(1)} Mbit/s` : `${kbit_s} kbit/s`;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 60) return texts.time.seconds(seconds);
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? texts.time.minutes(minutes) : texts.time.hours(Math.floor(minutes / 60), minutes % 60);
}
