/**
 * The watching view: the picture, its status in words, how it is delivered, and the figures.
 * @module
 */

import { VIAS } from "../address.js";
import { Session } from "../player/session.js";
import { texts } from "../texts.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { BroadcastList, Name, facts } from "./broadcast-list.js";
import { FigureRow } from "./figures.js";
import { Opposite } from "./opposite.js";

/** @typedef {import("../player/session.js").Status} Status */

/** Further behind than this, the way back to the live picture is offered. */
const FAR_BEHIND_S = 6;

/**
 * @param {{
 *   path: string, via: import("../address.js").Via, credentials: string, live: import("../broadcasts.js").Live,
 *   go: (to: import("../address.js").Place) => void,
 * }} props
 */
export function Watch({ path, via, credentials, live, go }) {
  const broadcast = live.broadcasts.find((entry) => entry.path === path);
  const others = live.broadcasts.filter((entry) => entry.path !== path);
  return html`
    <div class="watch ${others.length > 0 ? "with-others" : ""}" data-view="watch">
      <div class="stage">
        <${Player} path=${path} via=${via} credentials=${credentials} live=${live} listed=${broadcast !== undefined}
          opposite=${broadcast?.opposite ?? []}
          choose=${(/** @type {import("../address.js").Via} */ next) => go({ path, via: next, credentials })}>
          <h1 tabindex="-1"><${Name} path=${path} /></h1>
          <p class="facts">${broadcast
            ? facts(broadcast).map((fact) => html`<span>${fact}</span>`)
            // What only some may play is in no list.
            : live.state === "known" && !credentials && texts.watch.absentTitle}</p>
        <//>

      </div>
      ${others.length > 0 && html`
        <aside aria-labelledby="others">
          <h2 id="others">${texts.list.others}</h2>
          <${BroadcastList} broadcasts=${others} via=${via} credentials=${credentials} go=${go} />
        </aside>`}
    </div>`;
}

/**
 * @param {{
 *   path: string, via: import("../address.js").Via, credentials: string, live: import("../broadcasts.js").Live, listed: boolean,
 *   opposite: string[],
 *   choose: (via: import("../address.js").Via) => void, children?: any,
 * }} props
 */
function Player({ path, via, credentials, live, listed, opposite, choose, children }) {
  const video = /** @type {{ current: HTMLVideoElement | null }} */ (useRef(null));
  const [session, setSession] = useState(/** @type {Session | null} */ (null));
  const [status, setStatus] = useState(/** @type {Status} */ ({ phase: "connecting", trouble: null, detail: "" }));
  const [farBehind, setFarBehind] = useState(false);
  const muted = useMuted(video);

  useEffect(() => {
    if (!video.current) return undefined;
    const begun = new Session(video.current, path, { via, credentials }, setStatus);
    setStatus(begun.status);
    setSession(begun);
    return () => {
      begun.stop();
      setSession(null);
    };
  }, [path, via, credentials]);
  useEffect(() => session?.tell(listed), [session, listed]);

  const words = statusWords(status, live, listed || credentials !== "");
  const soundOn = () => {
    if (!video.current) return;
    video.current.muted = false;
    if (video.current.volume === 0) video.current.volume = 1;
    session?.play();
  };
  return html`
    <div class="pictures ${opposite.length > 0 ? "of-match" : ""}">
      <div class="screen" data-phase=${status.phase} data-trouble=${status.trouble ?? ""}>
        <video ref=${video} controls autoplay playsinline aria-label=${texts.watch.video(path)} />
        <${Cover} status=${status} words=${words} play=${() => session?.play()} />
        ${muted && status.phase === "playing" && html`
          <button type="button" class="sound" data-action="sound" onClick=${soundOn}>
            <${Speaker} />${texts.watch.soundOn}
          </button>`}
      </div>
      ${opposite.length > 0 && html`<${Opposite} paths=${opposite} via=${via} credentials=${credentials} />`}
    </div>
    <div class="under">
      <div class="what">${children}</div>
      <${Delivery} via=${via} choose=${choose} />
    </div>
    <div class="state">
      <p class="status" role="status" data-status=${status.phase}>
        <span class="dot ${status.phase === "playing" ? "on" : ""}" aria-hidden="true" />${words}
        ${status.phase === "failed" && status.detail && html` <span class="detail" lang="en">${status.detail}</span>`}
      </p>
      ${["retrying", "failed"].includes(status.phase) && html`
        <button type="button" class="quiet" data-action="retry" onClick=${() => session?.tryNow()}>
          ${texts.watch.tryNow}
        </button>`}
      ${farBehind && status.phase === "playing" && html`
        <button type="button" class="quiet" data-action="live" onClick=${() => session?.transport?.toLive()}>
          ${texts.watch.backToLive}
        </button>`}
    </div>
    <${FigureRow} session=${session} transit_s=${live.transit_s}
      sampled=${(/** @type {import("../player/stats.js").Figures} */ figures) =>
        setFarBehind((figures.latency_s ?? 0) > FAR_BEHIND_S)} />`;
}

/**
 * What lies over the picture while there is none. The words are read aloud from the status line, not from here.
 * @param {{ status: Status, words: string, play: () => void }} props
 */
function Cover({ status, words, play }) {
  if (status.phase === "blocked" || status.phase === "parked") {
    return html`
      <div class="cover">
        <button type="button" class="play" data-action="play" onClick=${play}>${texts.watch.play}</button>
      </div>`;
  }
  if (["playing", "paused"].includes(status.phase)) return null;
  const busy = status.phase !== "failed";
  return html`
    <div class="cover passive" aria-hidden="true">
      ${busy && html`<span class="tide"><i /><i /><i /></span>`}
      ${status.phase !== "buffering" && html`<p>${words}</p>`}
    </div>`;
}

/** @param {{ via: import("../address.js").Via, choose: (via: import("../address.js").Via) => void }} props */
function Delivery({ via, choose }) {
  return html`
    <fieldset class="delivery">
      <legend class="visually-hidden">${texts.watch.via}</legend>
      ${VIAS.map((option) => html`
        <label title=${texts.watch.viaHints[option]}>
          <input type="radio" name="via" value=${option} checked=${option === via} onChange=${() => choose(option)} />
          <span>${texts.watch.viaNames[option]}</span>
        </label>`)}
    </fieldset>`;
}

function Speaker() {
  return html`
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z" fill="currentColor" />
      <path d="m16 9.5 5 5m0-5-5 5" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />
    </svg>`;
}

/**
 * Browsers start by themselves without sound only, so the picture begins muted.
 * @param {{ current: HTMLVideoElement | null }} video
 */
function useMuted(video) {
  const [muted, setMuted] = useState(true);
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    element.muted = true;
    const told = () => setMuted(element.muted || element.volume === 0);
    element.addEventListener("volumechange", told);
    return () => element.removeEventListener("volumechange", told);
  }, []);
  return muted;
}

/**
 * @param {Status} status
 * @param {import("../broadcasts.js").Live} live
 * @param {boolean} listed
 */
function statusWords({ phase, trouble }, live, listed) {
  const gone = trouble === "absent" || (live.state === "known" && !listed);
  switch (phase) {
    case "failed":
      return texts.errors[/** @type {"codec"} */ (trouble)] ?? texts.status.reconnecting;
    case "retrying":
      if (live.state === "unreachable") return texts.list.unreachable;
      if (trouble === "busy") return texts.errors.busy;
      if (gone) return texts.status.waiting;
      return trouble === "media" ? texts.errors.media : texts.status.reconnecting;
    case "connecting":
      // Attempts in the background must not make the words flicker.
      if (live.state === "unreachable" && trouble) return texts.list.unreachable;
      return gone ? texts.status.waiting : texts.status.connecting;
    case "parked":
      return texts.status.paused;
    default:
      return texts.status[phase];
  }
}
