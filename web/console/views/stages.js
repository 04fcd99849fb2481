/**
 * Stages and matches: who is invited, on a stage, muted; whom the audience is shown; which broadcasts show each other.
 * @module
 */

import { moment } from "../../format.js";
import { Copy } from "../../frame.js";
import { html, useState } from "../../ui.js";
import { ask } from "../api.js";
import { useAnswer } from "../live.js";
import { Confirm } from "../parts/dialog.js";
import { Field, Making, useSending } from "../parts/form.js";
import { Table } from "../parts/table.js";
import { texts } from "../texts.js";
import { may } from "../types.js";
import { pageUrl, usePorts } from "../urls.js";
import { refusal } from "../words.js";

/** @typedef {{ name: string, state: "invited" | "on_stage" | "away", until: string, publishes: boolean, audio_muted: boolean, video_muted: boolean }} Member */
/** @typedef {{ path: string, title: string, members: Member[], layout: string[], match: number | null }} Stage */
/** @typedef {{ id: number, between: [string, string], ends: string }} Match */
/** @typedef {import("../parts/dialog.js").Question} Question */
/** @typedef {{ refresh: () => void, tell: (text: string) => void, acts: boolean }} Doing */

const PERIOD_MS = 3000;
const MATCH_MINUTES = 5;
/** What a new stage may be called. */
const EXAMPLES = { stage: "live/show", one: "live/alice", other: "live/bob" };

/** @param {string} path */
const ofStage = (path) => `stages/${encodeURIComponent(path)}`;

/** @param {import("../types.js").Console} props */
export function Stages({ who, tell }) {
  const stages = useAnswer("stages", PERIOD_MS);
  const matches = useAnswer("matches", PERIOD_MS);
  const words = texts.stages;
  const acts = may(who, "operator");
  const all = /** @type {Stage[]} */ (stages.value ?? []);
  const error = stages.error ?? matches.error;
  return html`
    <div class="view" data-view="stages">
      <div class="head"><h1 tabindex="-1">${texts.views.stages}</h1></div>
      <div role="status">${error && html`<p class="notice warn">${refusal(error)}</p>`}</div>
      <p class="soft">${words.help}</p>
      ${acts && html`<${NewStage} made=${stages.refresh} />`}
      ${stages.value && all.length === 0 && html`<p class="soft" data-none>${words.none}</p>`}
      ${all.map((stage) => html`<${OneStage} key=${stage.path} stage=${stage} refresh=${stages.refresh} tell=${tell} acts=${acts} />`)}
      <${Matches} matches=${/** @type {Match[]} */ (matches.value ?? [])} refresh=${matches.refresh} tell=${tell} acts=${acts} />
    </div>`;
}

/** @param {{ made: () => void }} props */
function NewStage({ made }) {
  const words = texts.stages;
  const sending = useSending(async (form) => {
    const body = { path: String(form.get("path")).trim(), title: String(form.get("title")) };
    await ask("stages", { method: "POST", body });
    made();
  });
  return html`
    <${Making} name="stage" label=${words.create} sending=${sending}>
      <${Field} sending=${sending} form="stage" name="path" label=${words.path} help=${words.pathHelp} required placeholder=${EXAMPLES.stage} />
      <${Field} sending=${sending} form="stage" name="title" label=${words.title} maxlength="100" />
    <//>`;
}

/** @param {{ stage: Stage } & Doing} props */
function OneStage({ stage, refresh, tell, acts }) {
  const [question, setQuestion] = useState(/** @type {Question | null} */ (null));
  const words = texts.stages;
  const at = ofStage(stage.path);
  const close = () => {
    setQuestion(null);
    refresh();
  };
  const change = async (/** @type {Member} */ { name }, /** @type {Record<string, boolean>} */ body) => {
    try {
      await ask(`${at}/members/${encodeURIComponent(name)}`, { method: "PATCH", body });
    } catch (reason) {
      tell(refusal(/** @type {import("../api.js").Refused} */ (reason)));
    }
    refresh();
  };
  const remove = (/** @type {Member} */ { name }) =>
    setQuestion({ ...words.remove, act: () => ask(`${at}/members/${encodeURIComponent(name)}`, { method: "DELETE" }) });
  const button = (/** @type {Member} */ member, /** @type {string} */ action, /** @type {string} */ label, /** @type {() => void} */ act) => html`
    <button type="button" class=${action === "remove" ? "danger" : "quiet"} data-action=${action} onClick=${act}>
      ${label}<span class="visually-hidden"> ${member.name}</span></button>`;
  const buttons = (/** @type {Member} */ member) => html`
    <span class="actions">
      ${button(member, "audio", member.audio_muted ? words.soundOn : words.soundOff, () => change(member, { audio_muted: !member.audio_muted }))}
      ${button(member, "video", member.video_muted ? words.pictureOn : words.pictureOff, () => change(member, { video_muted: !member.video_muted }))}
      ${button(member, "remove", words.remove.name, () => remove(member))}
    </span>`;
  return html`
    <section class="panel" data-stage=${stage.path} aria-label=${stage.path}>
      <h2>${stage.path}${stage.title && html` <span class="soft">${stage.title}</span>`}</h2>
      <p class="soft">${words.shown} ${stage.layout.length > 0 ? stage.layout.join(", ") : texts.none}</p>
      <${Table} label=${words.members} empty=${words.noMembers}
        columns=${[{ name: words.name }, { name: words.state }, { name: words.muted }, { name: words.until }, { name: texts.acts.title, hidden: true }]}
        rows=${stage.members.map((member) => ({
          key: member.name,
          cells: [html`<code>${member.name}</code>`, stateOf(member), mutedOf(member), moment(new Date(member.until)), acts ? buttons(member) : ""],
        }))} />
      ${acts && html`
        <${Invite} at=${at} made=${refresh} />
        <div class="actions">
          <button type="button" class="danger" data-action="end-stage"
            onClick=${() => setQuestion({ ...words.end, act: () => ask(at, { method: "DELETE" }) })}>${words.end.name}</button>
        </div>`}
      <${Confirm} question=${question} close=${close} tell=${tell} />
    </section>`;
}

/** @param {Member} member */
function stateOf({ state, publishes }) {
  const words = texts.stages.states;
  return state === "on_stage" && publishes ? words.publishes : words[state];
}

/** @param {Member} member */
function mutedOf({ audio_muted: audio, video_muted: video }) {
  const words = texts.stages;
  return [audio && words.sound, video && words.picture].filter(Boolean).join(", ") || texts.none;
}

/** @param {{ at: string, made: () => void }} props */
function Invite({ at, made }) {
  const [page, setPage] = useState("");
  const words = texts.stages;
  const ports = usePorts();
  const sending = useSending(async (form) => {
    const invitation = await ask(`${at}/members`, { method: "POST", body: { name: String(form.get("name")).trim() } });
    setPage(invitation.page);
    made();
  });
  const link = pageUrl(page, ports);
  return html`
    <${Making} name=${`invite-${at}`} label=${words.invite} sending=${sending}>
      <${Field} sending=${sending} form=${`invite-${at}`} name="name" label=${words.name} help=${words.nameHelp} required maxlength="32" />
    <//>
    ${page !== "" && html`
      <div class="once" role="status" data-secret>
        <h3>${words.invitation}</h3>
        <p>${words.invitationHelp}</p>
        <dl><div><dt>${words.link}</dt><dd><code>${link}</code> <${Copy} text=${link} words=${texts.copying} of=${words.link} /></dd></div></dl>
        <button type="button" class="quiet" data-action="done" onClick=${() => setPage("")}>${texts.keys.done}</button>
      </div>`}`;
}

/** @param {{ matches: Match[] } & Doing} props */
function Matches({ matches, refresh, tell, acts }) {
  const [question, setQuestion] = useState(/** @type {Question | null} */ (null));
  const words = texts.stages;
  const sending = useSending(async (form) => {
    const said = (/** @type {string} */ name) => String(form.get(name)).trim();
    await ask("matches", { method: "POST", body: { between: [said("between"), said("other")], length_s: Math.round(Number(said("length_s")) * 60) } });
    refresh();
  });
  const end = (/** @type {number} */ id) => setQuestion({ ...words.endMatch, act: () => ask(`matches/${id}`, { method: "DELETE" }) });
  const close = () => {
    setQuestion(null);
    refresh();
  };
  return html`
    <section class="panel" data-matches aria-labelledby="matches">
      <h2 id="matches">${words.matches}</h2>
      <p class="soft">${words.matchHelp}</p>
      ${acts && html`
        <${Making} name="match" label=${words.begin} sending=${sending}>
          <${Field} sending=${sending} form="match" name="between" label=${words.one} required placeholder=${EXAMPLES.one} />
          <${Field} sending=${sending} form="match" name="other" label=${words.other} required placeholder=${EXAMPLES.other} />
          <${Field} sending=${sending} form="match" name="length_s" label=${words.minutes} required type="number" min="1" defaultValue=${String(MATCH_MINUTES)} />
        <//>`}
      <${Table} label=${words.matches} empty=${words.noMatches}
        columns=${[{ name: words.between }, { name: words.ends }, { name: texts.acts.title, hidden: true }]}
        rows=${matches.map((match) => ({
          key: String(match.id),
          cells: [match.between.join(" · "), moment(new Date(match.ends)),
            acts ? html`<button type="button" class="danger" data-action="end-match" onClick=${() => end(match.id)}>
              ${words.endMatch.name}<span class="visually-hidden"> ${match.between.join(", ")}</span></button>` : ""],
        }))} />
      <${Confirm} question=${question} close=${close} tell=${tell} />
    </section>`;
}
