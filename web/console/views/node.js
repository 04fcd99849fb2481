/**
 * How the server fares.
 * @module
 */

import { bitrate, bytes, decimal, duration, percent } from "../../format.js";
import { html } from "../../ui.js";
import { ask } from "../api.js";
import { useAnswer } from "../live.js";
import { Plot } from "../parts/plot.js";
import { Table } from "../parts/table.js";
import { texts } from "../texts.js";
import { may } from "../types.js";
import { rates, refusal } from "../words.js";
import { Tile } from "./broadcast.js";

const PERIOD_MS = 2000;
const OUTWARD_PERIOD_MS = 5000;

/** @param {import("../types.js").Console} props */
export function NodeView({ who, tell }) {
  const { value, error } = useAnswer("node", PERIOD_MS);
  const node = /** @type {import("../types.js").Node | null} */ (value);
  return html`
    <div class="view" data-view="node">
      <div class="head">
        <h1 tabindex="-1">${texts.views.node}</h1>
        ${node && html`<p class="soft">${texts.node.version(node.version, duration(node.uptime_s))}</p>`}
      </div>
      <div role="status">
        ${error && html`<p class="notice warn">${refusal(error)}</p>`}
        ${node && node.phase !== "serving" && html`<p class="notice warn">${texts.node.draining}</p>`}
      </div>
      ${node && html`<${Figures} node=${node} />`}
      <${Outward} who=${who} tell=${tell} />
    </div>`;
}

/** @param {{ node: import("../types.js").Node }} props */
function Figures({ node: { cpu, memory, descriptors, egress, ingest, broadcasts, history } }) {
  const words = texts.node;
  const times = history.map(({ t }) => t);
  const inward = history.map(({ ingest_kbit_s }) => ingest_kbit_s);
  const outward = history.map(({ egress_kbit_s }) => egress_kbit_s);
  const queue = egress.workers.reduce((sum, worker) => sum + worker.queue_bytes, 0);
  const busiest = decimal(Math.max(0, ...history.map((moment) => moment.cpu)) * 100);
  return html`
    <ul class="tiles" aria-label=${words.now}>
      <${Tile} name=${words.cpu(decimal(cpu.cores))} value=${percent(cpu.busy)} />
      <${Tile} name=${words.memory} value=${bytes(memory.rss)} />
      <${Tile} name=${texts.bitrateOut} value=${bitrate(egress.kbit_s)} />
      <${Tile} name=${texts.bitrateIn} value=${bitrate(ingest.kbit_s)} />
      <${Tile} name=${texts.one.viewers} value=${decimal(egress.viewers)} />
      <${Tile} name=${words.publishers} value=${decimal(ingest.publishers)} />
      <${Tile} name=${texts.views.broadcasts} value=${decimal(broadcasts)} />
      <${Tile} name=${words.queues} value=${bytes(queue)} />
      <${Tile} name=${words.descriptors}
        value=${descriptors.max === null ? decimal(descriptors.open) : words.of(decimal(descriptors.open), decimal(descriptors.max))} />
    </ul>
    <div class="two">
      <section class="panel" aria-labelledby="rates">
        <h2 id="rates">${words.rates}</h2>
        <${Plot} label=${`${rates(texts.bitrateOut, outward)} ${rates(texts.bitrateIn, inward)}`} times=${times} shown=${bitrate}
          series=${[{ name: texts.bitrateOut, values: outward }, { name: texts.bitrateIn, values: inward, dashed: true }]} />
      </section>
      <section class="panel" aria-labelledby="load">
        <h2 id="load">${words.load}</h2>
        <${Plot} label=${words.loadSummary(percent(cpu.busy), busiest)} times=${times}
          shown=${(/** @type {number} */ value) => percent(value / 100)}
          series=${[{ name: words.cpu(decimal(cpu.cores)), values: history.map((moment) => moment.cpu * 100) }]} />
      </section>
    </div>
    <section class="panel" aria-labelledby="workers">
      <h2 id="workers">${words.workers}</h2>
      <p class="soft">${words.workersHelp}</p>
      <${Table} label=${words.workers} empty=${texts.none}
        columns=${[{ name: words.worker }, { name: words.busy, numeric: true }, { name: words.window, numeric: true },
          { name: texts.one.viewers, numeric: true }, { name: words.queue, numeric: true }]}
        rows=${egress.workers.map((worker, at) => ({
          key: String(at),
          cells: [decimal(at + 1), html`<${Busy} share=${worker.busy} />`, texts.milliseconds(decimal(worker.window_ms, 1)),
            decimal(worker.viewers), bytes(worker.queue_bytes)],
        }))} />
    </section>`;
}

/**
 * Connections that this server opens to others.
 * @param {{ who: import("../types.js").Who, tell: (text: string) => void }} props
 */
function Outward({ who, tell }) {
  const restreams = useAnswer("restreams", OUTWARD_PERIOD_MS);
  const pulls = useAnswer("pulls", OUTWARD_PERIOD_MS);
  const words = texts.node;
  const retry = async (/** @type {string} */ kind, /** @type {number} */ id) => {
    try {
      await ask(`${kind}/${id}/retry`, { method: "POST" });
      tell(words.retried);
    } catch (reason) {
      tell(refusal(/** @type {import("../api.js").Refused} */ (reason)));
    }
  };
  const row = (/** @type {"restreams" | "pulls"} */ kind) => (/** @type {import("../types.js").Outward} */ outward) => ({
    key: `${kind} ${outward.id}`,
    cells: [
      outward.path, words.directions[kind], html`<code>${outward.remote}</code>`,
      html`${words.states[outward.state] ?? outward.state}${outward.last_error && html`<br /><span class="soft" lang="en">${outward.last_error}</span>`}`,
      bytes(outward.bytes),
      outward.state === "waiting" && may(who, "operator")
        ? html`<button type="button" class="quiet" onClick=${() => retry(kind, outward.id)}>${words.retry}</button>` : "",
    ],
  });
  const rows = [...(restreams.value ?? []).map(row("restreams")), ...(pulls.value ?? []).map(row("pulls"))];
  return rows.length > 0 && html`
    <section class="panel" aria-labelledby="outward">
      <h2 id="outward">${words.outward}</h2>
      <${Table} label=${words.outward} empty=${texts.none} rows=${rows}
        columns=${[{ name: texts.views.broadcast }, { name: words.direction }, { name: words.remote }, { name: words.state },
          { name: texts.one.bytes, numeric: true }, { name: texts.acts.title, hidden: true }]} />
    </section>`;
}

/** @param {{ share: number }} props */
function Busy({ share }) {
  return html`<span class="busy"><meter min="0" max="1" high="0.8" optimum="0" value=${share} aria-hidden="true" />${percent(share)}</span>`;
}
