/**
 * A stage: its members see and hear each other, the audience sees what was chosen for it.
 * @module
 */

import { LanguageSwitch, Mark } from "../frame.js";
import { useLanguage } from "../language.js";
import { Sender } from "../studio/sender.js";
import { open, secure } from "../studio/sources.js";
import { texts } from "../texts.js";
import { html, render, useEffect, useRef, useState } from "../ui.js";
import { NOTHING_KNOWN, Refused, accept, follow, step } from "./api.js";
import { Opposite, Others, Shown } from "./parts.js";
import { OwnTile } from "./tile.js";

/**
 * - `invited` may come · `known` has a pass and isn't here · `coming` · `here` · `lost` the connection broke
 * - `audience` only watches · `gone` the pass is worth nothing any more
 * @typedef {"invited" | "known" | "coming" | "here" | "lost" | "audience" | "gone"} Phase
 */

const SOURCES = /** @type {import("../studio/sources.js").Source[]} */ (["camera", "screen", "pattern"]);
/** Every member plays all others, so pictures are small. */
const BITRATE_BIT_S = 900_000;

const query = new URLSearchParams(location.search);
const path = query.get("path") ?? "";
const token = query.get("token");
/** A pass is kept as long as the tab is open. */
const KEPT_AS = `floodtide.stage.${path}`;

/** @returns {string | null} */
function keptPass() {
  try {
    return sessionStorage.getItem(KEPT_AS);
  } catch {
    return null;
  }
}

/** @param {string | null} pass */
function keep(pass) {
  try {
    if (pass === null) sessionStorage.removeItem(KEPT_AS);
    else sessionStorage.setItem(KEPT_AS, pass);
  } catch {
    // A browser that keeps nothing for this site forgets the pass with the page.
  }
}

/** Behind the #, so that no server sees it. @returns {string | null} */
function invitation() {
  return new URLSearchParams(location.hash.slice(1)).get("invitation");
}

function App() {
  useLanguage();
  useEffect(() => {
    document.title = `${path} · ${texts.productName}`;
  });
  return html`
    <a class="skip" href="#content">${texts.skipToContent}</a>
    <header class="top">
      <a class="brand" href="/"><${Mark} />${texts.productName}</a>
      <${LanguageSwitch} label=${texts.language} />
    </header>
    <main id="content" tabindex="-1"><${StageView} /></main>`;
}

function StageView() {
  const words = texts.stage;
  const [pass, setPass] = useState(keptPass);
  const [phase, setPhase] = useState(/** @type {Phase} */ (invitation() !== null ? "invited" : pass !== null ? "known" : "audience"));
  const [known, setKnown] = useState(NOTHING_KNOWN);
  const [said, setSaid] = useState("");
  const own = useOwnMedia(() => setPhase("lost"));
  const { stage } = known;
  const me = stage?.members.find((member) => member.name === stage.you);

  useEffect(() => follow(path, { pass, token }, setKnown), [pass]);
  useEffect(() => {
    // Who was removed hears it here; whoever may still watches as anybody does.
    if (known.state !== "refused" || pass === null) return;
    own.stop();
    keep(null);
    setPass(null);
    setSaid(known.detail);
    setPhase("gone");
  }, [known]);

  const come = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const source = String(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)).get("source"));
    setPhase("coming");
    setSaid("");
    try {
      const media = await own.open(/** @type {import("../studio/sources.js").Source} */ (source));
      const { secret, stage: entered } = await enter(pass);
      setPass(secret);
      setKnown({ state: "known", stage: entered, detail: "" });
      const mine = entered.members.find((member) => member.name === entered.you);
      await own.send(media, mine?.path ?? "", secret);
      setPhase("here");
    } catch (error) {
      own.stop();
      setSaid(error instanceof Error ? error.message : "");
      setPhase(invitation() !== null ? "invited" : keptPass() !== null ? "known" : "gone");
    }
  };
  const leave = () => {
    own.stop();
    setPhase("known");
    if (pass !== null) step(path, "leave", pass).catch(() => {});
  };

  const isHere = phase === "here";
  const mayCome = ["invited", "known", "coming", "lost"].includes(phase);
  return html`
    <div class="cohosts" data-view="stage" data-phase=${phase} data-state=${known.state}>
      <h1 tabindex="-1">${stage?.title || path}</h1>
      <p class="status" role="status">
        <span class="dot ${isHere ? "on" : ""}" aria-hidden="true" />${words.phases[phase]} ${said}
        ${known.state !== "known" && known.state !== "loading" && phase !== "gone" && ` ${words.states[known.state]} ${known.detail}`}
        ${isHere && me?.audio_muted && ` ${words.mutedByHost}`} ${isHere && me?.video_muted && ` ${words.darkByHost}`}
      </p>
      ${mayCome && html`<${Come} come=${come} busy=${phase === "coming"} back=${phase !== "invited" && pass !== null} />`}
      ${own.media && isHere && html`<${Controls} own=${own} leave=${leave} />`}
      ${isHere && own.media && stage?.you
        ? html`
          <${Others} stage=${stage} pass=${pass}>
            <${OwnTile} name=${stage.you} media=${own.media} audioMuted=${own.silent || me?.audio_muted}
              videoMuted=${own.dark || me?.video_muted} />
          <//>`
        : stage !== null && html`<${Shown} stage=${stage} token=${token} />`}
      ${stage?.match && html`<${Opposite} match=${stage.match} silent=${!isHere} />`}
    </div>`;
}

/**
 * Goes on the stage: by the pass that is kept, else by the invitation.
 * @param {string | null} pass
 * @returns {Promise<{ secret: string, stage: import("./api.js").Stage }>}
 */
async function enter(pass) {
  if (pass !== null) {
    try {
      return { secret: pass, stage: await step(path, "join", pass) };
    } catch (error) {
      // It may be of an earlier stay, and there is a new invitation.
      if (!(error instanceof Refused) || invitation() === null) throw error;
    }
  }
  const { pass: secret, ...stage } = await accept(path, invitation() ?? "");
  keep(secret);
  // It is used now; nobody should copy it from the address.
  history.replaceState(null, "", location.pathname + location.search);
  return { secret, stage };
}

/**
 * What this browser sends.
 * @param {() => void} lost
 */
function useOwnMedia(lost) {
  const running = /** @type {{ current: { sender?: Sender, close: () => void } | null }} */ (useRef(null));
  const [media, setMedia] = useState(/** @type {MediaStream | null} */ (null));
  const [silent, setSilent] = useState(false);
  const [dark, setDark] = useState(false);
  const stop = () => {
    running.current?.sender?.stop();
    running.current?.close();
    running.current = null;
    setMedia(null);
  };
  useEffect(() => {
    const gone = () => running.current?.sender?.stop();
    addEventListener("pagehide", gone);
    return () => removeEventListener("pagehide", gone);
  }, []);
  return {
    media, silent, dark, stop,
    /** @param {import("../studio/sources.js").Source} source */
    async open(source) {
      stop();
      const opened = await open(source);
      running.current = { close: opened.close };
      setSilent(false);
      setDark(false);
      setMedia(opened.media);
      return opened.media;
    },
    /** @param {MediaStream} what @param {string} to @param {string} key */
    async send(what, to, key) {
      const wish = { path: to, key, codec: "H264", bitrate_bit_s: BITRATE_BIT_S, simulcast: false };
      const sender = await Sender.begin(what, wish, () => {
        stop();
        lost();
      });
      if (running.current === null) sender.stop();
      else running.current.sender = sender;
    },
    hush() {
      media?.getAudioTracks().forEach((track) => {
        track.enabled = silent;
      });
      setSilent(!silent);
    },
    darken() {
      media?.getVideoTracks().forEach((track) => {
        track.enabled = dark;
      });
      setDark(!dark);
    },
  };
}

/** @param {{ come: (event: SubmitEvent) => void, busy: boolean, back: boolean }} props */
function Come({ come, busy, back }) {
  const words = texts.stage;
  const chosen = secure() ? "camera" : "pattern";
  return html`
    <form class="panel" onSubmit=${come} autocomplete="off">
      <label class="field"><span>${texts.studio.source}</span>
        <select name="source">
          ${SOURCES.map((source) => html`<option value=${source} selected=${source === chosen}>${texts.studio.sources[source]}</option>`)}
        </select></label>
      <div class="actions">
        <button class="go" data-action="come" disabled=${busy}>${back ? words.comeBack : words.come}</button>
      </div>
      ${!secure() && html`<p class="note">${texts.studio.insecure}</p>`}
    </form>`;
}

/** @param {{ own: ReturnType<typeof useOwnMedia>, leave: () => void }} props */
function Controls({ own, leave }) {
  const words = texts.stage;
  return html`
    <div class="actions" role="group" aria-label=${words.controls}>
      <button type="button" class="quiet" data-action="mute" aria-pressed=${own.silent} onClick=${own.hush}>${words.mute}</button>
      <button type="button" class="quiet" data-action="dark" aria-pressed=${own.dark} onClick=${own.darken}>${words.dark}</button>
      <button type="button" class="quiet" data-action="leave" onClick=${leave}>${words.leave}</button>
    </div>`;
}

const root = document.getElementById("app");
if (root) render(html`<${App} />`, root);
