/**
 * Values that follow the server: asked for again every few seconds, and at once when an event says that they changed.
 * @module
 */

import { useEffect, useRef, useState } from "../ui.js";
import { Refused, ask } from "./api.js";

/** @typedef {{ id: string, type: string, time: string, [more: string]: any }} ServerEvent */

const KINDS = [
  "session.began", "session.ended", "broadcast.began", "broadcast.ended", "health.changed", "config.reloaded",
];
/** So many events are remembered. */
export const EVENTS_MAX = 200;
/** Events come in bursts; the server is asked at most this often because of them. */
const BURST_MS = 500;
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

  open() {
    this.close();
    const source = new EventSource("/v1/events");
    const heard = (/** @type {MessageEvent} */ message) => {
      const known = JSON.parse(message.data);
      if (this.list.some((event) => event.id === message.lastEventId)) return;
      this.list = [{ ...known, id: message.lastEventId, type: known.type ?? message.type }, ...this.list].slice(0, EVENTS_MAX);
      this.dispatchEvent(new Event("change"));
    };
    for (const kind of [...KINDS, "message"]) source.addEventListener(kind, /** @type {EventListener} */ (heard));
    source.addEventListener("error", () => {
      // The browser itself tries again, unless the answer was a refusal.
      if (source.readyState === EventSource.CLOSED) this.timer = setTimeout(() => this.open(), REOPEN_MS);
    });
    this.source = source;
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
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let burst;
    const soon = () => {
      clearTimeout(burst);
      burst = setTimeout(question, BURST_MS);
    };
    again.current = question;
    question();
    events.addEventListener("change", soon);
    document.addEventListener("visibilitychange", soon);
    return () => {
      over = true;
      clearTimeout(timer);
      clearTimeout(burst);
      events.removeEventListener("change", soon);
      document.removeEventListener("visibilitychange", soon);
    };
  }, [path, period_ms]);
  return { value: state.path === path ? state.value : null, error: state.error, refresh: () => again.current() };
}
