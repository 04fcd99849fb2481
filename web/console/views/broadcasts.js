/**
 * What is live, with its figures.
 * @module
 */

import { bitrate, decimal, duration } from "../../format.js";
import { follows } from "../../frame.js";
import { HealthBadge, adviceTitle } from "../../parts/health.js";
import { html, useState } from "../../ui.js";
import { Name } from "../../views/broadcast-list.js";
import { address } from "../address.js";
import { useAnswer } from "../live.js";
import { MediaIcon } from "../parts/icons.js";
import { Sparkline } from "../parts/plot.js";
import { texts } from "../texts.js";
import { audio, refusal, video } from "../words.js";

/** @typedef {import("../types.js").Broadcast} Broadcast */

const PERIOD_MS = 2000;
/** Rows at a time; more are a click away. */
const SHOWN = 50;
const WORST_FIRST = { error: 0, warning: 1, ok: 2 };

/** @type {Record<string, (a: Broadcast, b: Broadcast) => number>} */
const ORDERS = {
  name: (a, b) => a.path.localeCompare(b.path),
  viewers: (a, b) => b.viewers - a.viewers,
  health: (a, b) => WORST_FIRST[a.health.status] - WORST_FIRST[b.health.status],
};

/** @param {import("../types.js").Console} props */
export function Broadcasts({ go }) {
  const { value, error } = useAnswer("broadcasts", PERIOD_MS);
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState("name");
  const [shown, setShown] = useState(SHOWN);
  const all = /** @type {Broadcast[]} */ (value ?? []);
  const found = all.filter(({ path }) => path.toLowerCase().includes(search.toLowerCase()))
    .sort((a, b) => ORDERS[order](a, b) || ORDERS.name(a, b));
  const viewers = all.reduce((sum, broadcast) => sum + broadcast.viewers, 0);
  return html`
    <div class="view" data-view="broadcasts">
      <div class="head">
        <h1 tabindex="-1">${texts.views.broadcasts}</h1>
        ${value && html`<p class="soft" data-count=${all.length}>${texts.list.sum(decimal(all.length), texts.viewers(viewers, decimal(viewers)))}</p>`}
        ${all.length > 1 && html`
          <div class="tools">
            <label><span class="visually-hidden">${texts.list.search}</span>
              <input type="search" placeholder=${texts.list.search} value=${search}
                onInput=${(/** @type {InputEvent} */ event) => setSearch(/** @type {HTMLInputElement} */ (event.target).value)} /></label>
            <label><span class="soft">${texts.list.order}</span>
              <select value=${order} onChange=${(/** @type {Event} */ event) => setOrder(/** @type {HTMLSelectElement} */ (event.target).value)}>
                ${Object.keys(ORDERS).map((name) => html`
                  <option value=${name} selected=${name === order}>${texts.list.orders[/** @type {"name"} */ (name)]}</option>`)}
              </select></label>
          </div>`}
      </div>
      <div role="status">
        ${error && html`<p class="notice warn">${refusal(error)}</p>`}
        ${value && all.length === 0 && html`
          <div class="empty"><h2>${texts.list.emptyTitle}</h2><p>${texts.list.emptyText}</p></div>`}
        ${all.length > 0 && found.length === 0 && html`<p class="soft">${texts.list.nothingFound}</p>`}
      </div>
      <ul class="rows">
        ${found.slice(0, shown).map((broadcast) => html`<${Row} key=${broadcast.path} broadcast=${broadcast} go=${go} />`)}
      </ul>
      ${found.length > shown && html`
        <button type="button" class="quiet" onClick=${() => setShown(shown + SHOWN)}>
          ${texts.list.more(decimal(found.length - shown))}
        </button>`}
    </div>`;
}

/** @param {{ broadcast: Broadcast, go: import("../types.js").Console["go"] }} props */
function Row({ broadcast, go }) {
  const { path, live, health, history } = broadcast;
  const to = { view: /** @type {const} */ ("broadcast"), path };
  const worst = live ? health.advice[0] : undefined;
  return html`
    <li class="row" data-broadcast=${path}>
      <${MediaIcon} video=${broadcast.video !== null} />
      <div class="row-name">
        <a href=${address(to)} onClick=${follows(() => go(to))}><${Name} path=${path} /></a>
        <p class="facts">
          ${[broadcast.video && video(broadcast.video), broadcast.audio && audio(broadcast.audio), texts.list.since(duration(broadcast.age_s))]
            .filter(Boolean).map((fact) => html`<span>${fact}</span>`)}
        </p>
      </div>
      <div class="row-health">
        <${HealthBadge} status=${health.status} live=${live} />
        ${worst && html`<p class="soft">${adviceTitle(worst.code)}</p>`}
      </div>
      <p class="row-rate"><${Sparkline} values=${history.map(({ kbit_s }) => kbit_s)} />
        <span class="visually-hidden">${texts.bitrateIn} </span>${bitrate(broadcast.ingest.kbit_s)}</p>
      <p class="row-viewers" data-viewers=${broadcast.viewers}>${texts.viewers(broadcast.viewers, decimal(broadcast.viewers))}</p>
    </li>`;
}
