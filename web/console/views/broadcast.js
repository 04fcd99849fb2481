/**
 * One broadcast: how it comes in, who watches, and what can be done about it.
 * @module
 */

import { bitrate, bytes, decimal, duration } from "../../format.js";
import { Copy, follows } from "../../frame.js";
import { Facts } from "../../parts/facts.js";
import { AdviceList, HealthBadge, HealthFigures } from "../../parts/health.js";
import { texts as shared } from "../../parts/texts.js";
import { html, useState } from "../../ui.js";
import { Name } from "../../views/broadcast-list.js";
import { address } from "../address.js";
import { ask, ofBroadcast } from "../api.js";
import { useAnswer } from "../live.js";
import { Confirm } from "../parts/dialog.js";
import { Plot } from "../parts/plot.js";
import { Table } from "../parts/table.js";
import { texts } from "../texts.js";
import { may } from "../types.js";
import { useAddresses } from "../urls.js";
import { audio, codec, protocol, rates, refusal, video } from "../words.js";
import { Delivery, linkFacts, linkWords } from "./delivery.js";

/** @typedef {import("../types.js").BroadcastFull} BroadcastFull */
/** @typedef {import("../parts/dialog.js").Question} Question */

const PERIOD_MS = 2000;

/** @param {import("../types.js").Console & { path: string }} props */
export function OneBroadcast({ path, who, go, tell }) {
  const { value, error, refresh } = useAnswer(ofBroadcast(path), PERIOD_MS);
  const [question, setQuestion] = useState(/** @type {Question | null} */ (null));
  const broadcast = /** @type {BroadcastFull | null} */ (value);
  const gone = error?.status === 404;
  const back = { view: /** @type {const} */ ("broadcasts"), path: "" };
  const close = () => {
    setQuestion(null);
    refresh();
  };
  return html`
    <div class="view" data-view="broadcast">
      <p><a class="back" href=${address(back)} onClick=${follows(() => go(back))}>← ${texts.views.broadcasts}</a></p>
      <div class="head">
        <h1 tabindex="-1"><${Name} path=${path} /></h1>
        ${broadcast && !gone && html`<${HealthBadge} status=${broadcast.health.status} live=${broadcast.live} />`}
        ${broadcast && !gone && may(who, "operator") && html`<${Acts} broadcast=${broadcast} ask=${setQuestion} />`}
      </div>
      <div role="status">
        ${error && html`<p class="notice warn">${gone ? texts.one.gone : refusal(error)}</p>`}
      </div>
      ${broadcast && !gone && html`<${Sections} broadcast=${broadcast} canKick=${may(who, "operator")} ask=${setQuestion} />`}
      <${Confirm} question=${question} close=${close} tell=${tell} />
    </div>`;
}

/** @param {{ broadcast: BroadcastFull, ask: (question: Question) => void }} props */
function Acts({ broadcast: { path, live }, ask: put }) {
  const post = (/** @type {string} */ verb) => ask(`${ofBroadcast(path)}/${verb}`, { method: "POST" });
  const { kick, takeover, end } = texts.acts;
  return html`
    <div class="actions">
      ${live && html`
        <button type="button" class="quiet" data-action="kick"
          onClick=${() => put({ ...kick, act: () => post("kick") })}>${kick.name}</button>
        <button type="button" class="quiet" data-action="takeover"
          onClick=${() => put({ ...takeover, act: () => post("takeover") })}>${takeover.name}</button>`}
      <button type="button" class="danger" data-action="end"
        onClick=${() => put({ ...end, act: () => ask(ofBroadcast(path), { method: "DELETE" }) })}>${end.name}</button>
    </div>`;
}

/** @param {{ broadcast: BroadcastFull, canKick: boolean, ask: (question: Question) => void }} props */
function Sections({ broadcast, canKick, ask: put }) {
  const { health, history, ingest, egress } = broadcast;
  const incoming = history.map(({ kbit_s }) => kbit_s);
  const outgoing = history.map(({ egress_kbit_s }) => egress_kbit_s);
  return html`
    <ul class="tiles" aria-label=${texts.one.now}>
      <${Tile} name=${texts.bitrateIn} value=${bitrate(ingest.kbit_s)} />
      <${Tile} name=${texts.bitrateOut} value=${bitrate(egress.kbit_s)} />
      <${Tile} name=${texts.one.viewers} value=${decimal(broadcast.viewers)} />
      <${Tile} name=${texts.one.age} value=${duration(broadcast.age_s)} />
    </ul>
    <section class="panel" aria-labelledby="health">
      <h2 id="health">${shared.health.title}</h2>
      ${broadcast.live ? html`<${AdviceList} advice=${health.advice} />` : html`<p class="soft">${texts.one.waiting}</p>`}
      <details>
        <summary>${shared.figures.title}</summary>
        <${HealthFigures} health=${health} />
      </details>
    </section>
    <div class="two">
      <section class="panel" aria-labelledby="rate-in">
        <h2 id="rate-in">${texts.bitrateIn}</h2>
        <${Plot} label=${rates(texts.bitrateIn, incoming)} times=${history.map(({ t }) => t)} shown=${bitrate}
          series=${[{ name: texts.bitrateIn, values: incoming }]} />
      </section>
      <section class="panel" aria-labelledby="rate-out">
        <h2 id="rate-out">${texts.bitrateOut}</h2>
        <${Plot} label=${rates(texts.bitrateOut, outgoing)} times=${history.map(({ t }) => t)} shown=${bitrate}
          series=${[{ name: texts.bitrateOut, values: outgoing }]} />
      </section>
    </div>
    <div class="two">
      <${Made} broadcast=${broadcast} />
      <${Addresses} broadcast=${broadcast} />
    </div>
    <${Delivery} broadcast=${broadcast} />
    <${Viewers} broadcast=${broadcast} canKick=${canKick} ask=${put} />`;
}

/** @param {{ name: string, value: string }} props */
export function Tile({ name, value }) {
  return html`<li class="tile"><span class="soft">${name}</span> <b>${value}</b></li>`;
}

/** Tracks and publisher. @param {{ broadcast: BroadcastFull }} props */
function Made({ broadcast: { tracks, publisher, ingest, queue_bytes } }) {
  const words = texts.one;
  return html`
    <section class="panel" aria-labelledby="tracks">
      <h2 id="tracks">${words.tracks}</h2>
      <${Table} label=${words.tracks} empty=${words.noTracks}
        columns=${[{ name: words.kind }, { name: words.codec }, { name: words.format }]}
        rows=${tracks.map((track) => ({
          key: String(track.id),
          cells: [texts.kinds[track.kind], codec(track.codec),
            (track.kind === "video" ? video(track) : audio(track)).split(" · ").slice(1).join(" · ") || texts.none],
        }))} />
      <h2>${words.publisher}</h2>
      ${publisher
        ? html`<${Facts} label=${words.publisher} pairs=${[
          [words.protocol, protocol(publisher.protocol)], [words.peer, publisher.peer],
          [words.age, duration(publisher.age_s)], [words.bytesIn, bytes(ingest.bytes)], [words.queue, bytes(queue_bytes)],
          ...(publisher.link ? linkFacts(publisher.link) : []),
        ]} />`
        : html`<p class="soft">${words.waiting}</p>`}
    </section>`;
}

/** @param {{ broadcast: BroadcastFull }} props */
function Addresses({ broadcast }) {
  const addresses = useAddresses(broadcast);
  return html`
    <section class="panel" aria-labelledby="addresses">
      <h2 id="addresses">${texts.urls.title}</h2>
      <ul class="addresses">
        ${addresses.map(({ name, url, page }) => html`
          <li key=${name}>
            <span class="soft">${name}</span>
            ${page ? html`<a href=${url} target="_blank" rel="noopener">${url}</a>` : html`<code>${url}</code>`}
            <${Copy} text=${url} words=${texts.copying} of=${name} />
          </li>`)}
      </ul>
    </section>`;
}

/** @param {{ broadcast: BroadcastFull, canKick: boolean, ask: (question: Question) => void }} props */
function Viewers({ broadcast: { sessions, viewers_by_protocol, viewers }, canKick, ask: put }) {
  const words = texts.one;
  // Most broadcasts have neither, and a phone has no room for empty columns.
  const converts = sessions.some(({ transcoded }) => transcoded);
  const measures = sessions.some(({ link }) => link);
  const kick = (/** @type {string} */ id) =>
    put({ ...texts.acts.kickViewer, act: () => ask(`sessions/${id}`, { method: "DELETE" }) });
  return html`
    <section class="panel" aria-labelledby="viewers">
      <h2 id="viewers">${words.viewers}</h2>
      <p class="facts">
        ${Object.entries(viewers_by_protocol).map(([name, count]) => html`<span>${protocol(name)} ${decimal(count)}</span>`)}
      </p>
      <${Table} label=${words.viewers} empty=${viewers > 0 ? words.onlyPolling : words.noViewers}
        columns=${[
          { name: words.protocol }, { name: words.peer }, { name: words.age, numeric: true },
          { name: words.bytesOut, numeric: true }, { name: words.skips, numeric: true },
          ...(converts ? [{ name: texts.delivery.hears }] : []),
          ...(measures ? [{ name: texts.delivery.way, numeric: true }] : []),
          ...(canKick ? [{ name: texts.acts.title, hidden: true }] : []),
        ]}
        rows=${sessions.map((session) => ({
          key: session.id,
          cells: [
            protocol(session.protocol), html`<code>${session.peer}</code>`, duration(session.age_s), bytes(session.bytes),
            decimal(session.skips),
            ...(converts ? [session.transcoded ? codec(session.transcoded) : texts.delivery.asItIs] : []),
            ...(measures ? [session.link ? linkWords(session.link) : texts.none] : []),
            ...(canKick ? [html`
              <button type="button" class="quiet" data-action="kick-viewer" onClick=${() => kick(session.id)}>
                ${texts.acts.kickViewer.name}<span class="visually-hidden"> ${session.peer}</span>
              </button>`] : []),
          ],
        }))} />
    </section>`;
}
