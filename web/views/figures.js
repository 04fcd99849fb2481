/**
 * The measured figures. Each carries its bare value in `data-value` for scripts and tests.
 * @module
 */

import { decimal } from "../format.js";
import { texts } from "../texts.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { NO_FIGURES } from "../player/stats.js";

const SAMPLE_MS = 500;

/**
 * @param {{
 *   session: import("../player/session.js").Session | null, transit_s: number,
 *   sampled: (figures: import("../player/stats.js").Figures) => void,
 * }} props
 */
export function FigureRow({ session, transit_s, sampled }) {
  const [figures, setFigures] = useState(NO_FIGURES);
  const transit = useRef(transit_s);
  transit.current = transit_s;
  useEffect(() => {
    setFigures(NO_FIGURES);
    if (!session) return undefined;
    const timer = setInterval(() => {
      const sample = session.stats.sample(session.transport, transit.current);
      setFigures(sample);
      sampled(sample);
    }, SAMPLE_MS);
    return () => clearInterval(timer);
  }, [session]);

  const words = texts.figures;
  const latencyMeaning = words.latency[session?.transport?.kind ?? "flv"];
  const rebuffered = words.rebuffers.value(figures.rebuffers, decimal(figures.rebuffer_s, 1));
  return html`
    <section class="figures" aria-label=${words.title}>
      <dl>
        <${Figure} name="latency" of=${words.latency} meaning=${latencyMeaning} value=${figures.latency_s}
          shown=${figures.latency_s === null ? null : decimal(figures.latency_s, figures.latency_s < 1 ? 2 : 1)} />
        <${Figure} name="bitrate" of=${words.bitrate} value=${figures.bitrate_bit_s && Math.round(figures.bitrate_bit_s)}
          shown=${figures.bitrate_bit_s === null ? null : decimal(figures.bitrate_bit_s / 1e6, 2)} />
        <${Figure} name="dropped" of=${words.dropped} value=${figures.dropped}
          shown=${figures.dropped === null ? null : decimal(figures.dropped)} />
        <${Figure} name="rebuffers" of=${words.rebuffers} value=${figures.rebuffers} shown=${rebuffered}
          more=${{ "data-seconds": figures.rebuffer_s.toFixed(3) }} />
        <${Figure} name="rate" of=${words.rate} value=${figures.rate} shown=${decimal(figures.rate, 2)} />
      </dl>
      <details>
        <summary>${words.explain}</summary>
        <ul>
          ${[words.latency, words.bitrate, words.dropped, words.rebuffers, words.rate].map((of) => html`
            <li><b>${of.name}</b> ${"meaning" in of ? of.meaning : latencyMeaning}</li>`)}
        </ul>
      </details>
    </section>`;
}

/**
 * @param {{
 *   name: string, of: { name: string, unit: string, meaning?: string }, meaning?: string,
 *   value: number | null, shown: string | number | null | undefined, more?: Record<string, string>,
 * }} props
 */
function Figure({ name, of, meaning, value, shown, more }) {
  const known = shown !== null && shown !== undefined;
  return html`
    <div title=${meaning ?? of.meaning}>
      <dt>${of.name}</dt>
      <dd data-figure=${name} data-value=${value ?? ""} ...${more}>
        ${known ? shown : texts.figures.none}${known && of.unit && html`<span class="unit"> ${of.unit}</span>`}
      </dd>
    </div>`;
}
