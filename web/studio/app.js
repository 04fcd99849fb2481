/**
 * Publishing from the browser: what, as what, and how it goes.
 * @module
 */

import { LanguageSwitch, Mark } from "../frame.js";
import { decimal } from "../format.js";
import { useLanguage } from "../language.js";
import { AdviceList, HealthBadge, HealthFigures } from "../parts/health.js";
import { texts as shared } from "../parts/texts.js";
import { texts } from "../texts.js";
import { html, render, useEffect, useRef, useState } from "../ui.js";
import { NOTHING_SENT, Refused, Sender } from "./sender.js";
import { open, secure } from "./sources.js";

/** @typedef {"idle" | "starting" | "live" | "lost" | "refused" | "device"} Phase */

const SAMPLE_MS = 1000;
/** The server's figures are means over seconds. */
const HEALTH_MS = 2000;
const CODECS = ["H264", "VP8", "VP9", "AV1"];
const SOURCES = /** @type {import("./sources.js").Source[]} */ (["camera", "screen", "pattern"]);

function App() {
  useLanguage();
  const words = texts.studio;
  useEffect(() => {
    document.title = `${words.title} · ${texts.productName}`;
  });
  return html`
    <a class="skip" href="#content">${texts.skipToContent}</a>
    <header class="top">
      <a class="brand" href="/"><${Mark} />${texts.productName}</a>
      <${LanguageSwitch} label=${texts.language} />
    </header>
    <main id="content" tabindex="-1">
      <div class="studio" data-view="studio">
        <h1 tabindex="-1">${words.title}</h1>
        <${Studio} />
      </div>
    </main>`;
}

function Studio() {
  const words = texts.studio;
  const preview = /** @type {{ current: HTMLVideoElement | null }} */ (useRef(null));
  const running = /** @type {{ current: { sender: Sender, media: MediaStream, close: () => void } | null }} */ (useRef(null));
  const [phase, setPhase] = useState(/** @type {Phase} */ ("idle"));
  const [said, setSaid] = useState("");
  const [name, setName] = useState("");
  const [muted, setMuted] = useState(false);
  const [sent, setSent] = useState(NOTHING_SENT);

  const end = (/** @type {Phase} */ next) => {
    running.current?.sender.stop();
    running.current?.close();
    running.current = null;
    if (preview.current) preview.current.srcObject = null;
    setPhase(next);
    setSent(NOTHING_SENT);
  };
  useEffect(() => {
    const gone = () => running.current?.sender.stop();
    addEventListener("pagehide", gone);
    return () => removeEventListener("pagehide", gone);
  }, []);
  useEffect(() => {
    if (phase !== "live") return undefined;
    const timer = setInterval(() => running.current?.sender.sample().then(setSent, () => {}), SAMPLE_MS);
    return () => clearInterval(timer);
  }, [phase]);

  const begin = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const text = (/** @type {string} */ field) => String(form.get(field) ?? "").trim();
    setPhase("starting");
    setSaid("");
    let opened;
    try {
      opened = await open(/** @type {import("./sources.js").Source} */ (text("source")));
    } catch (error) {
      setSaid(error instanceof Error ? error.message : "");
      setPhase("device");
      return;
    }
    try {
      const wish = {
        path: `live/${text("name")}`, key: text("key"), codec: text("codec"),
        bitrate_bit_s: Number(text("bitrate")) * 1e6, simulcast: form.get("simulcast") !== null,
      };
      const sender = await Sender.begin(opened.media, wish, () => end("lost"));
      running.current = { sender, ...opened };
      // A screen that isn't shared any more ends the broadcast.
      opened.media.getVideoTracks()[0]?.addEventListener("ended", () => end("idle"));
      if (preview.current) preview.current.srcObject = opened.media;
      setName(text("name"));
      setMuted(false);
      setPhase("live");
    } catch (error) {
      opened.close();
      setSaid(error instanceof Error ? error.message : "");
      setPhase(error instanceof Refused ? "refused" : "lost");
    }
  };
  const mute = () => {
    running.current?.media.getAudioTracks().forEach((track) => {
      track.enabled = muted;
    });
    setMuted(!muted);
  };

  const isLive = phase === "live";
  return html`
    <div class="screen" data-phase=${phase}>
      <video ref=${preview} autoplay muted playsinline aria-label=${words.preview} />
    </div>
    <p class="status" role="status" data-status=${phase}>
      <span class="dot ${isLive ? "on" : ""}" aria-hidden="true" />${words.phases[phase]} ${said}
      ${isLive && html` <a href=${`/?path=live/${encodeURI(name)}&via=webrtc`} target="_blank" rel="noopener">${words.watch}</a>`}
    </p>
    ${isLive && html`<${Figures} sent=${sent} />`}
    ${isLive && running.current && html`<${Health} sender=${running.current.sender} />`}
    <form onSubmit=${begin} autocomplete="off">
      <${Choice} name="source" words=${words.source} options=${SOURCES.map((source) => [source, words.sources[source]])}
        chosen=${secure() ? "camera" : "pattern"} off=${isLive} />
      <label class="field"><span>${words.name}</span>
        <input name="name" required pattern="[^?#]+" defaultValue="mine" disabled=${isLive} /></label>
      <label class="field"><span>${words.key}</span>
        <input name="key" type="password" autocomplete="off" disabled=${isLive} /></label>
      <${Choice} name="codec" words=${words.codec} options=${CODECS.map((codec) => [codec, codec])} chosen="H264" off=${isLive} />
      <label class="field"><span>${words.bitrate}</span>
        <input name="bitrate" type="number" min="0.1" max="20" step="0.1" defaultValue="2" required disabled=${isLive} /></label>
      <label class="check"><input name="simulcast" type="checkbox" disabled=${isLive} /><span>${words.simulcast}</span></label>
      <div class="actions">
        ${isLive
          ? html`
            <button key="stop" type="button" class="go" data-action="stop" onClick=${() => end("idle")}>${words.stop}</button>
            <button key="mute" type="button" class="quiet" data-action="mute" aria-pressed=${muted} onClick=${mute}>${words.mute}</button>`
          : html`<button key="start" class="go" data-action="start" disabled=${phase === "starting"}>${words.start}</button>`}
      </div>
      ${!secure() && html`<p class="note">${words.insecure}</p>`}
    </form>`;
}

/** @param {{ name: string, words: string, options: [string, string][], chosen: string, off: boolean }} props */
function Choice({ name, words, options, chosen, off }) {
  return html`
    <label class="field"><span>${words}</span>
      <select name=${name} disabled=${off}>
        ${options.map(([value, shown]) => html`<option value=${value} selected=${value === chosen}>${shown}</option>`)}
      </select>
    </label>`;
}

/** @param {{ sent: import("./sender.js").Sent }} props */
function Figures({ sent }) {
  const words = texts.studio.figures;
  /** @type {[string, string, number | string | null, string | null][]} */
  const rows = [
    ["bitrate", words.bitrate, sent.bitrate_bit_s, sent.bitrate_bit_s === null ? null : `${decimal(sent.bitrate_bit_s / 1e6, 2)} Mbit/s`],
    ["fps", words.fps, sent.fps, sent.fps === null ? null : decimal(sent.fps)],
    ["size", words.size, sent.size, sent.size],
    ["rtt", words.rtt, sent.rtt_s, sent.rtt_s === null ? null : `${decimal(sent.rtt_s * 1000)} ms`],
    ["lost", words.lost, sent.lost, sent.lost === null ? null : decimal(sent.lost)],
  ];
  const advice = words.limited[/** @type {"cpu"} */ (sent.limited)];
  return html`
    <section class="figures" aria-label=${words.title}>
      <dl>
        ${rows.map(([figure, title, value, shown]) => html`
          <div><dt>${title}</dt><dd data-figure=${figure} data-value=${value ?? ""}>${shown ?? texts.figures.none}</dd></div>`)}
      </dl>
      ${advice && html`<p class="note" role="status">${advice}</p>`}
    </section>`;
}

/** How it comes in. @param {{ sender: Sender }} props */
function Health({ sender }) {
  const [health, setHealth] = useState(/** @type {import("../parts/health.js").HealthFull | null} */ (null));
  const [refused, setRefused] = useState("");
  useEffect(() => {
    let over = false;
    const look = async () => {
      try {
        const now = await sender.health();
        if (over) return;
        setHealth(now);
        setRefused("");
      } catch (error) {
        // Before the first packet there is nothing to be seen, and what is missed once comes with the next look.
        if (!over && error instanceof Refused && error.status === 403) setRefused(error.message);
      }
    };
    look();
    const timer = setInterval(look, HEALTH_MS);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [sender]);
  const words = texts.studio.health;
  return html`
    <section class="panel" aria-labelledby="health" data-part="health">
      <div class="head">
        <h2 id="health">${shared.health.title}</h2>
        ${health && html`<${HealthBadge} status=${health.status} live=${health.publishing_s !== null} />`}
      </div>
      ${refused && html`<p class="note" role="status">${words.refused} ${refused}</p>`}
      ${health && html`
        <${AdviceList} advice=${health.advice} />
        <${HealthFigures} health=${health} />`}
      ${!health && !refused && html`<p class="note">${words.soon}</p>`}
    </section>`;
}

const root = document.getElementById("app");
if (root) render(html`<${App} />`, root);
