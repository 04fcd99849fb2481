/**
 * What happens: events, sessions that ended, and the log.
 * @module
 */

import { bytes, clock, decimal, duration } from "../../format.js";
import { adviceTitle } from "../../parts/health.js";
import { SignIcon } from "../../parts/signs.js";
import { texts as shared } from "../../parts/texts.js";
import { html, useEffect, useRef, useState } from "../../ui.js";
import { address } from "../address.js";
import { useAnswer, useEvents } from "../live.js";
import { Table } from "../parts/table.js";
import { texts } from "../texts.js";
import { protocol, refusal } from "../words.js";

const ENDED_SHOWN = 50;
const ENDED_PERIOD_MS = 10_000;
const EVENTS_SHOWN = 50;
const LINES_MAX = 500;
const LEVELS = /** @type {const} */ (["error", "warn", "info", "debug"]);
/** @typedef {typeof LEVELS[number]} Level */
/** @typedef {{ id: number, time: string, level: string, text: string, fields: Record<string, string> }} Line */

/** @type {Record<string, import("../../parts/signs.js").Sign>} */
const LEVEL_SIGNS = { error: "problem", warn: "warning", info: "info" };

export function Activity() {
  return html`
    <div class="view" data-view="activity">
      <div class="head"><h1 tabindex="-1">${texts.views.activity}</h1></div>
      <div class="two">
        <${EventList} />
        <${EndedList} />
      </div>
      <${LogTail} />
    </div>`;
}

function EventList() {
  const events = useEvents();
  return html`
    <section class="panel" aria-labelledby="events">
      <h2 id="events">${texts.activity.events}</h2>
      ${events.length === 0 && html`<p class="soft">${texts.activity.noEvents}</p>`}
      <div class="scroll" role="log" aria-live="off" aria-labelledby="events" tabindex="0"><ul class="events">
        ${events.slice(0, EVENTS_SHOWN).map((event) => html`
          <li key=${event.id} data-event=${event.type}>
            <time datetime=${event.time}>${clock(new Date(event.time))}</time>
            <span>${texts.activity.kinds[/** @type {"session.began"} */ (event.type)] ?? event.type}</span>
            <span class="soft">${eventFacts(event)}</span>
          </li>`)}
      </ul></div>
    </section>`;
}

/** What an event is about. @param {import("../live.js").ServerEvent} event */
function eventFacts(event) {
  const { path, role, reason, advice, applied, count, member, opposite } = event;
  const spoken = event.protocol;
  return [
    path && html`<a href=${address({ view: "broadcast", path })}>${path}</a>`,
    member,
    opposite,
    role && (texts.activity.sessionRoles[/** @type {"viewer"} */ (role)] ?? role),
    spoken && protocol(spoken),
    reason && (texts.activity.reasons[/** @type {"left"} */ (reason)] ?? reason),
    event.status && (shared.health.status[/** @type {"ok"} */ (event.status)] ?? event.status),
    ...(advice ?? []).map(adviceTitle),
    applied?.join(", "),
    count && decimal(count),
  ].filter(Boolean).flatMap((fact, at) => (at === 0 ? [fact] : [" · ", fact]));
}

function EndedList() {
  const { value, error } = useAnswer(`sessions/ended?limit=${ENDED_SHOWN}`, ENDED_PERIOD_MS);
  const ended = /** @type {import("../types.js").Ended[]} */ (value ?? []);
  const words = texts.activity;
  return html`
    <section class="panel" aria-labelledby="ended">
      <h2 id="ended">${words.ended}</h2>
      ${error && html`<p class="notice warn" role="status">${refusal(error)}</p>`}
      <div class="scroll" tabindex="0" role="region" aria-labelledby="ended">
        <${Table} label=${words.ended} empty=${words.noneEnded}
          columns=${[{ name: words.what }, { name: words.who }, { name: words.why }, { name: texts.one.age, numeric: true },
            { name: texts.one.bytes, numeric: true }]}
          rows=${ended.map((session) => ({
            key: session.id,
            cells: [session.path, `${words.sessionRoles[session.role] ?? session.role} · ${protocol(session.protocol)}`,
              words.reasons[/** @type {"left"} */ (session.reason)] ?? session.reason_text, duration(session.duration_s),
              bytes(session.bytes)],
          }))} />
      </div>
    </section>`;
}

/** The newest lines of the server's log, as they come. */
function LogTail() {
  const [level, setLevel] = useState(/** @type {Level} */ ("info"));
  const [paused, setPaused] = useState(false);
  const [lines, broken] = useLines(level, paused);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const atEnd = useRef(true);
  useEffect(() => {
    // Whoever scrolled up reads there; whoever is at the end stays there.
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  const words = texts.activity;
  return html`
    <section class="panel" aria-labelledby="log">
      <div class="head">
        <h2 id="log">${words.log}</h2>
        <div class="tools">
          <label><span class="soft">${words.level}</span>
            <select value=${level} onChange=${(/** @type {Event} */ event) => setLevel(/** @type {any} */ (event.target).value)}>
              ${LEVELS.map((name) => html`<option value=${name} selected=${name === level}>${words.levels[name]}</option>`)}
            </select></label>
          <button type="button" class="quiet" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>
            ${paused ? words.resume : words.pause}
          </button>
        </div>
      </div>
      ${broken && html`<p class="notice warn" role="status">${words.logBroken}</p>`}
      <div class="log" role="log" aria-live="off" aria-labelledby="log" tabindex="0" ref=${box}
        onScroll=${() => {
          const { scrollTop, clientHeight, scrollHeight } = /** @type {HTMLElement} */ (box.current);
          atEnd.current = scrollTop + clientHeight > scrollHeight - 8;
        }}>
        ${lines.length === 0 && html`<p class="soft">${words.noLines}</p>`}
        ${lines.map((line) => html`
          <p key=${line.id} class=${line.level} data-line>
            <time datetime=${line.time}>${clock(new Date(line.time))}</time>
            <span class="level">
              ${LEVEL_SIGNS[line.level] && html`<${SignIcon} sign=${LEVEL_SIGNS[line.level]} />`}
              <span class="visually-hidden">${words.levels[/** @type {Level} */ (line.level)] ?? line.level}</span>
            </span>
            <span lang="en">${line.text} <span class="soft">${fieldsOf(line)}</span></span>
          </p>`)}
      </div>
    </section>`;
}

/** @param {Level} level @param {boolean} paused @returns {[Line[], boolean]} the lines, and whether they stopped coming */
function useLines(level, paused) {
  const [lines, setLines] = useState(/** @type {Line[]} */ ([]));
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    if (paused) return undefined;
    setLines([]);
    const source = new EventSource(`/v1/logs?level=${level}`);
    source.addEventListener("open", () => setBroken(false));
    source.addEventListener("error", () => setBroken(true));
    const heard = (/** @type {MessageEvent} */ message) => {
      const line = /** @type {Line} */ (JSON.parse(message.data));
      // A stream that is opened again may repeat itself.
      setLines((before) => (line.id <= (before.at(-1)?.id ?? 0) ? before : [...before, line].slice(-LINES_MAX)));
    };
    source.addEventListener("line", /** @type {EventListener} */ (heard));
    return () => source.close();
  }, [level, paused]);
  return [lines, broken];
}

/** @param {Line} line */
function fieldsOf({ fields }) {
  return Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ");
}
