/**
 * Values that follow the server: asked for again every few seconds, and at once when an event says that they changed.
 * @module
 */

import { useEffect, useRef, useState } from "../ui.js";
import { Refused, ask } from "./api.js";

/** @typedef {{ id: number, type: string, time: string, [more: string]: any }} ServerEvent */

const KINDS = [
  "session.began", "session.ended", "broadcast.began", "broadcast.ended", "health.changed", "config.reloaded", "events.missed",
  "stage.began", "stage.ended", "stage.joined", "stage.left", "match.began", "match.ended",
];
/** So many events are remembered. */
export const EVENTS_MAX = 200;
/** Events come in bursts; those of so long are told together. */
const BURST_MS = 250;
/** How long a stream of events that the server closed rests before it is opened again. */
const REOPEN_MS = 5000;

/** Everything that happened since the page opened, and before as far as the server remembers; the newest first. */
class Events extends EventTarget {
  /** @type {ServerEvent[]} */
  list = [];
  /** @type {EventSource | null} */
  source = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;
  /** @type {ServerEvent[]} heard, but not told yet */
  heard = [];

  open() {
    this.close();
    const source = new EventSource("/v1/events");
    const hear = (/** @type {MessageEvent} */ message) => this.hear([JSON.parse(message.data)]);
    for (const kind of KINDS) source.addEventListener(kind, /** @type {EventListener} */ (hear));
    // The stream begins at now; what came before is asked for.
    source.addEventListener("open", () => ask(`events?limit=${EVENTS_MAX}`).then((list) => this.hear(list), () => null));
    source.addEventListener("error", () => {
      // The browser itself tries again, unless the answer was a refusal.
      if (source.readyState === EventSource.CLOSED) this.timer = setTimeout(() => this.open(), REOPEN_MS);
    });
    this.source = source;
  }

  /** @param {ServerEvent[]} newer */
  hear(newer) {
    if (this.heard.length === 0) setTimeout(() => this.tell(), BURST_MS);
    this.heard.push(...newer);
  }

  tell() {
    const byId = new Map([...this.list, ...this.heard].map((event) => [event.id, event]));
    this.list = [...byId.values()].sort((a, b) => b.id - a.id).slice(0, EVENTS_MAX);
    this.heard = [];
    this.dispatchEvent(new Event("change"));
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}

export const events = new Events();

/** Follows what happens. @returns {ServerEvent[]} */
export function useEvents() {
  const [list, setList] = useState(events.list);
  useEffect(() => {
    const changed = () => setList(events.list);
    events.addEventListener("change", changed);
    changed();
    return () => events.removeEventListener("change", changed);
  }, []);
  return list;
}

/**
 * @template T
 * @typedef {{ value: T | null, error: Refused | null, refresh: () => void }} Followed
 */

/**
 * @param {string} path below `/v1`
 * @param {number} period_ms between two questions; 0 asks once, and after events and `refresh`
 * @returns {Followed<any>} the last answer stays while later questions fail
 */
export function useAnswer(path, period_ms) {
  const [state, setState] = useState({ path, value: /** @type {any} */ (null), error: /** @type {Refused | null} */ (null) });
  const again = useRef(() => {});
  useEffect(() => {
    let over = false;
    let asking = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const question = async () => {
      clearTimeout(timer);
      if (asking) return;
      asking = true;
      // Nobody sees a hidden page.
      if (!document.hidden) {
        try {
          const value = await ask(path);
          if (!over) setState({ path, value, error: null });
        } catch (error) {
          if (!over && error instanceof Refused) setState((last) => ({ ...last, path, value: last.path === path ? last.value : null, error }));
        }
      }
      asking = false;
      if (!over && period_ms > 0) timer = setTimeout(question, period_ms);
    };
    again.current = question;
    question();
    events.addEventListener("change", question);
    document.addEventListener("visibilitychange", question);
    return () => {
      over = true;
      clearTimeout(timer);
      events.removeEventListener("change", question);
      document.removeEventListener("visibilitychange", question);
    };
  }, [path, period_ms]);
  return { value: state.path === path ? state.value : null, error: state.error, refresh: () => again.current() };
}
