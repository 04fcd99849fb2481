/**
 * Live broadcasts as links.
 * @module
 */

import { address } from "../address.js";
import { bitrate, duration } from "../format.js";
import { follows } from "../frame.js";
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
 *   broadcasts: Broadcast[], via: import("../address.js").Via, credentials: string, current?: string,
 *   go: (to: Place) => void,
 * }} props
 */
export function BroadcastList({ broadcasts, via, credentials, current, go }) {
  return html`
    <ul class="broadcasts">
      ${broadcasts.map((broadcast) => {
        const to = { path: broadcast.path, via, credentials };
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
