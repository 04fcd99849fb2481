/**
 * Figures over the last minute.
 * @module
 */

import { clock } from "../../format.js";
import { html, useEffect, useRef } from "../../ui.js";
import vendored from "../../vendor/uplot.mjs";

const uPlot = /** @type {typeof import("uplot")} */ (/** @type {unknown} */ (vendored));

/** @typedef {{ name: string, values: number[], dashed?: boolean }} Series */

const HEIGHT = 180;
const AXIS_WIDTH = 84;
const AXIS_HEIGHT = 30;
/** A scale for less than this would write the same number twice. */
const HIGHEST_MIN = 10;

/**
 * @param {{ label: string, times: string[], series: Series[], shown: (value: number) => string }} props `label` says
 *   the same in words
 */
export function Plot({ label, times, series, shown }) {
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {import("uplot") | null} */ (null));
  const names = series.map(({ name }) => name).join("\n");
  const latest = useRef(shown);
  latest.current = shown;
  const data = /** @type {import("uplot").AlignedData} */ ([
    times.map((time) => Date.parse(time) / 1000), ...series.map(({ values }) => values),
  ]);
  const known = useRef(data);
  known.current = data;

  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element, series, (value) => latest.current(value)), known.current, element);
    };
    draw();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    sized.observe(element);
    return () => {
      dark.removeEventListener("change", draw);
      sized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names]);
  useEffect(() => plot.current?.setData(data), [times.at(-1), names]);

  return html`
    <div class="plot">
      ${series.length > 1 && html`
        <div class="legend" aria-hidden="true">
          ${series.map(({ name, dashed }) => html`<span class=${dashed ? "dashed" : ""}>${name}</span>`)}
        </div>`}
      <div class="canvas" role="img" aria-label=${label} ref=${place} />
    </div>`;
}

/**
 * @param {HTMLElement} element @param {Series[]} series @param {(value: number) => string} shown
 * @returns {import("uplot").Options}
 */
function options(element, series, shown) {
  const style = getComputedStyle(element);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--ink-soft"), font: `12px ${style.fontFamily}`,
    grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false },
  };
  return {
    width: element.clientWidth, height: HEIGHT,
    // The last time of day needs room beside the plot.
    padding: [null, 30, null, null],
    legend: { show: false }, cursor: { show: false },
    scales: { x: { time: true }, y: { range: (_, _min, max) => [0, Math.max(max * 1.1, HIGHEST_MIN)] } },
    series: [{}, ...series.map(({ dashed }, at) => ({
      stroke: colour(at === 0 ? "--accent" : "--ink-soft"), width: 2,
      fill: at === 0 ? colour("--accent-wash") : undefined, dash: dashed ? [5, 4] : undefined, points: { show: false },
    }))],
    axes: [
      { ...axis, size: AXIS_HEIGHT, space: 90, values: (_, splits) => splits.map((at) => clock(new Date(at * 1000))) },
      { ...axis, size: AXIS_WIDTH, space: 44, values: (_, splits) => splits.map(shown) },
    ],
  };
}

/** A small curve without axes, for lists; its figure stands beside it. @param {{ values: number[] }} props */
export function Sparkline({ values }) {
  const highest = Math.max(1, ...values);
  const points = values.map((value, at) => `${(at * 120) / Math.max(1, values.length - 1)},${30 - (value * 28) / highest}`);
  return html`
    <svg class="spark" viewBox="0 0 120 32" preserveAspectRatio="none" aria-hidden="true">
      ${points.length > 1 && html`<polyline points=${points.join(" ")} />`}
    </svg>`;
}
