/**
 * The first view: what is live, and how to publish.
 * @module
 */

import { texts } from "../texts.js";
import { html } from "../ui.js";
import { BroadcastList } from "./broadcast-list.js";
import { Publish } from "./publish.js";

/**
 * @param {{
 *   live: import("../broadcasts.js").Live, via: import("../address.js").Via, credentials: string,
 *   go: (to: import("../address.js").Place) => void,
 * }} props
 */
export function Home({ live, via, credentials, go }) {
  const empty = live.broadcasts.length === 0;
  return html`
    <div class="home" data-view="home">
      <h1 tabindex="-1" class=${empty ? "visually-hidden" : ""}>${texts.list.title}</h1>
      <div role="status">
        ${live.state === "loading" && html`<p class="notice">${texts.list.loading}</p>`}
        ${live.state === "unreachable" && html`<p class="notice warn">${texts.list.unreachable}</p>`}
        ${live.state === "known" && empty && html`
          <div class="empty">
            <h2>${texts.publish.emptyTitle}</h2>
            <p>${texts.publish.emptyText}</p>
          </div>`}
      </div>
      ${!empty && html`<${BroadcastList} broadcasts=${live.broadcasts} via=${via} credentials=${credentials} go=${go} />`}
      ${live.state === "known" && (empty
        ? html`<${Publish} port=${live.publishPort} />`
        : html`<details class="publish-more"><summary>${texts.publish.title}</summary><${Publish} port=${live.publishPort} /></details>`)}
    </div>`;
}
