/**
 * Who may publish and play: stream keys, and tokens signed here.
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
import { usePorts } from "../urls.js";
import { refusal } from "../words.js";

/** @typedef {{ id: string, path: string, note: string, enabled: boolean, expires?: string | null, created?: string | null, from: "configuration" | "store" }} Key */
/** @typedef {import("../parts/dialog.js").Question} Question */

/** What paths and networks look like. */
const [PATTERN, NETWORK] = ["live/*", "192.0.2.0/24"];
/** How long keys and tokens may hold, in seconds; an empty one is for ever. */
const TIMES = /** @type {const} */ (["", "3600", "86400", "604800", "2592000", "31536000"]);

/** @param {import("../types.js").Console} props */
export function Keys({ who, tell }) {
  if (!may(who, "admin")) {
    return html`
      <div class="view" data-view="keys">
        <div class="head"><h1 tabindex="-1">${texts.views.keys}</h1></div>
        <p class="notice">${texts.keys.adminOnly}</p>
      </div>`;
  }
  return html`
    <div class="view" data-view="keys">
      <div class="head"><h1 tabindex="-1">${texts.views.keys}</h1></div>
      <${StreamKeys} tell=${tell} />
      <${Tokens} />
    </div>`;
}

/** @param {{ tell: (text: string) => void }} props */
function StreamKeys({ tell }) {
  const { value, error, refresh } = useAnswer("keys", 0);
  const [question, setQuestion] = useState(/** @type {Question | null} */ (null));
  const keys = /** @type {Key[]} */ (value ?? []);
  const words = texts.keys;
  const close = () => {
    setQuestion(null);
    refresh();
  };
  const turn = async (/** @type {Key} */ { id, enabled }) => {
    try {
      await ask(`keys/${encodeURIComponent(id)}`, { method: "PATCH", body: { enabled: !enabled } });
      tell(enabled ? words.disabled : words.enabled);
    } catch (reason) {
      tell(refusal(/** @type {import("../api.js").Refused} */ (reason)));
    }
    refresh();
  };
  const remove = (/** @type {Key} */ { id }) =>
    setQuestion({ ...words.remove, act: () => ask(`keys/${encodeURIComponent(id)}`, { method: "DELETE" }) });
  return html`
    <section class="panel" aria-labelledby="keys">
      <h2 id="keys">${words.title}</h2>
      <p class="soft">${words.help}</p>
      ${error && html`<p class="notice warn" role="status">${refusal(error)}</p>`}
      <${NewKey} made=${refresh} />
      <${Table} label=${words.title} empty=${words.none}
        columns=${[{ name: words.id }, { name: words.path }, { name: words.note }, { name: words.state }, { name: words.expires },
          { name: texts.acts.title, hidden: true }]}
        rows=${keys.map((key) => ({
          key: key.id,
          cells: [html`<code>${key.id}</code>`, html`<code>${key.path}</code>`, key.note || texts.none, stateOf(key),
            key.expires ? moment(new Date(key.expires)) : words.never,
            key.from === "configuration" ? html`<span class="soft">${words.ofConfig}</span>` : html`
              <span class="actions">
                <button type="button" class="quiet" data-action="turn" onClick=${() => turn(key)}>
                  ${key.enabled ? words.disable : words.enable}<span class="visually-hidden"> ${key.id}</span>
                </button>
                <button type="button" class="danger" data-action="remove" onClick=${() => remove(key)}>
                  ${words.remove.name}<span class="visually-hidden"> ${key.id}</span>
                </button>
              </span>`],
        }))} />
      <${Confirm} question=${question} close=${close} tell=${tell} />
    </section>`;
}

/** @param {Key} key */
function stateOf({ enabled, expires }) {
  if (!enabled) return texts.keys.states.disabled;
  return expires && Date.parse(expires) <= Date.now() ? texts.keys.states.expired : texts.keys.states.good;
}

/** @param {{ made: () => void }} props */
function NewKey({ made }) {
  const [secret, setSecret] = useState(/** @type {{ secret: string, path: string } | null} */ (null));
  const words = texts.keys;
  const sending = useSending(async (form) => {
    const expires = afterNow(String(form.get("ttl")));
    const body = { path: String(form.get("path")).trim(), note: String(form.get("note")), ...(expires && { expires }) };
    const key = await ask("keys", { method: "POST", body });
    setSecret({ secret: key.secret, path: body.path });
    made();
  });
  return html`
    <${Making} name="key" label=${words.create} sending=${sending}>
      <${Field} sending=${sending} form="key" name="path" label=${words.path} help=${words.pathHelp} required placeholder=${PATTERN} />
      <${Field} sending=${sending} form="key" name="note" label=${words.note} maxlength="200" />
      <${TimeChoice} forever=${true} />
    <//>
    ${secret && html`<${KeySecret} ...${secret} done=${() => setSecret(null)} />`}`;
}

/** What to type into the encoder; it can be seen this once. @param {{ secret: string, path: string, done: () => void }} props */
function KeySecret({ secret, path, done }) {
  const words = texts.keys;
  const ports = usePorts();
  const cut = path.lastIndexOf("/");
  const [app, name] = [path.slice(0, cut), path.slice(cut + 1)];
  const exact = cut > 0 && !path.includes("*");
  const server = `rtmp://${location.hostname}${ports.rtmp === "1935" ? "" : `:${ports.rtmp}`}/${exact ? app : "live"}`;
  return html`
    <${Once} title=${words.secretTitle} help=${words.secretHelp} done=${done}>
      <${Value} name=${words.secret} text=${secret} />
      <${Value} name=${words.obsServer} text=${server} />
      <${Value} name=${words.obsKey} text=${`${exact ? name : words.anyName}?key=${secret}`} />
    <//>`;
}

function Tokens() {
  const [made, setMade] = useState(/** @type {string | null} */ (null));
  const [kind, setKind] = useState("jwt");
  const words = texts.tokens;
  const sending = useSending(async (form) => {
    const said = (/** @type {string} */ name) => String(form.get(name) ?? "");
    const ip = said("ip").trim();
    const answer = await ask(said("kind") === "jwt" ? "tokens" : "urls", {
      method: "POST",
      body: { act: said("act"), path: said("path").trim(), ttl_s: Number(said("ttl")), ...(ip !== "" && { ip }) },
    });
    setKind(said("kind"));
    setMade(answer.token ?? answer.query);
  });
  return html`
    <section class="panel" aria-labelledby="tokens">
      <h2 id="tokens">${words.title}</h2>
      <p class="soft">${words.help}</p>
      <${Making} name="token" label=${words.create} sending=${sending}>
        <label><span>${words.kind}</span>
          <select name="kind"><option value="jwt">${words.kinds.jwt}</option><option value="url">${words.kinds.url}</option></select></label>
        <label><span>${words.act}</span>
          <select name="act"><option value="play">${words.acts.play}</option><option value="publish">${words.acts.publish}</option></select></label>
        <${Field} sending=${sending} form="token" name="path" label=${texts.keys.path} help=${texts.keys.pathHelp} required
          placeholder=${PATTERN} />
        <${TimeChoice} forever=${false} />
        <${Field} sending=${sending} form="token" name="ip" label=${words.ip} placeholder=${NETWORK} />
      <//>
      ${made && html`
        <${Once} title=${words.madeTitle} help=${words.madeHelp} done=${() => setMade(null)}>
          <${Value} name=${words.kinds[/** @type {"jwt"} */ (kind)]} text=${made} />
        <//>`}
    </section>`;
}

/** @param {{ forever: boolean }} props */
function TimeChoice({ forever }) {
  return html`
    <label><span>${texts.keys.holds}</span>
      <select name="ttl">
        ${TIMES.filter((time) => forever || time !== "").map((time) => html`
          <option value=${time} selected=${!forever && time === "86400"}>${texts.keys.times[time]}</option>`)}
      </select></label>`;
}

/** Something that can be seen once. @param {{ title: string, help: string, done: () => void, children?: any }} props */
function Once({ title, help, done, children }) {
  return html`
    <div class="once" role="status" data-secret>
      <h3>${title}</h3>
      <p>${help}</p>
      <dl>${children}</dl>
      <button type="button" class="quiet" data-action="done" onClick=${done}>${texts.keys.done}</button>
    </div>`;
}

/** @param {{ name: string, text: string }} props */
function Value({ name, text }) {
  return html`<div><dt>${name}</dt><dd><code>${text}</code> <${Copy} text=${text} words=${texts.copying} of=${name} /></dd></div>`;
}

/** RFC 3339, or null for ever. @param {string} seconds */
function afterNow(seconds) {
  return seconds === "" ? null : new Date(Date.now() + Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
