/**
 * What viewers get of one broadcast, and how the way to each is.
 * @module
 */

import { bitrate, decimal, percent } from "../../format.js";
import { Facts } from "../../parts/facts.js";
import { html } from "../../ui.js";
import { Table } from "../parts/table.js";
import { texts } from "../texts.js";
import { codec, video } from "../words.js";

/** Conversions, what WebRTC makes of B-frames, and the qualities. @param {{ broadcast: import("../types.js").BroadcastFull }} props */
export function Delivery({ broadcast: { transcoded, webrtc, renditions } }) {
  const words = texts.delivery;
  const pairs = /** @type {[string, any][]} */ ([[words.converted, transcoded.length > 0 ? transcoded.map(codec).join(", ") : words.nothing]]);
  if (webrtc) {
    pairs.push([words.bFrames, html`<span data-b-frames=${webrtc.b_frames}>${words.outcomes[webrtc.b_frames]}</span>`]);
    pairs.push([words.policy, html`<code>${webrtc.policy}</code>`]);
    if (webrtc.why) pairs.push([words.why, html`<span lang="en">${webrtc.why}</span>`]);
  }
  return html`
    <section class="panel" aria-labelledby="delivery">
      <h2 id="delivery">${words.title}</h2>
      <${Facts} label=${words.title} pairs=${pairs} />
      ${renditions.length > 0 && html`
        <h2>${words.renditions}</h2>
        <${Table} label=${words.renditions} empty=""
          columns=${[{ name: words.rendition }, { name: texts.one.format }, { name: texts.bitrateIn, numeric: true }, { name: words.for }]}
          rows=${renditions.map(({ name, codec: of, width, height, kbit_s, base }) => ({
            key: name,
            cells: [html`<code>${name}</code>`, of === null ? texts.none : video({ codec: of, width, height }), bitrate(kbit_s),
              base ? words.everybody : words.webrtcOnly],
          }))} />`}
    </section>`;
}

/** How the way to somebody is, in short. @param {import("../types.js").Link} link */
export function linkWords({ rtt_ms, packets, lost }) {
  const all = packets + lost;
  return texts.delivery.link(texts.milliseconds(decimal(rtt_ms)), percent(all > 0 ? lost / all : 0));
}

/** The same with everything. @param {import("../types.js").Link} link @returns {[string, string][]} */
export function linkFacts(link) {
  const words = texts.delivery;
  return [
    [words.roundTrip, texts.milliseconds(decimal(link.rtt_ms, 1))],
    [words.patience, texts.milliseconds(decimal(link.latency_ms))],
    [words.missed, words.of(decimal(link.missed), decimal(link.packets))],
    [words.resent, decimal(link.resent)],
    [words.lost, decimal(link.lost)],
    [words.encrypted, link.encrypted ? words.yes : words.no],
  ];
}
