/**
 * The console: who looks, which view, and what happens around it.
 * @module
 */

import { LanguageSwitch, Mark, follows } from "../frame.js";
import { useLanguage } from "../language.js";
import { html, render, useEffect, useRef, useState } from "../ui.js";
import { address, place } from "./address.js";
import { Refused, ask, refusals } from "./api.js";
import { events } from "./live.js";
import { texts } from "./texts.js";
import { Activity } from "./views/activity.js";
import { Broadcasts } from "./views/broadcasts.js";
import { Configuration } from "./views/config.js";
import { Keys } from "./views/keys.js";
import { Login } from "./views/login.js";
import { NodeView } from "./views/node.js";
import { Stages } from "./views/stages.js";
import { OneBroadcast } from "./views/broadcast.js";

/** @typedef {import("./types.js").Who} Who */

/** How long a message stays. */
const TOLD_MS = 6000;
/** How long a server that does not answer is left alone. */
const RETRY_MS = 3000;

function App() {
  useLanguage();
  const [at, setAt] = useState(place);
  const [who, setWho] = useState(/** @type {Who | null} */ (null));
  const [refused, setRefused] = useState(/** @type {Refused | null} */ (null));
  const [told, setTold] = useState("");
  const opened = useRef(true);

  const enter = async () => {
    try {
      setWho(await ask("whoami"));
      setRefused(null);
    } catch (error) {
      setWho(null);
      setRefused(/** @type {Refused} */ (error));
    }
  };
  useEffect(() => void enter(), []);
  useEffect(() => {
    if (refused?.status !== 0) return undefined;
    const timer = setTimeout(enter, RETRY_MS);
    return () => clearTimeout(timer);
  }, [refused]);
  useEffect(() => {
    const back = () => setAt(place());
    // A login that ended while the page was open.
    const login = () => setWho(null) ?? setRefused(new Refused(401, ""));
    addEventListener("popstate", back);
    refusals.addEventListener("login", login);
    return () => {
      removeEventListener("popstate", back);
      refusals.removeEventListener("login", login);
    };
  }, []);
  useEffect(() => {
    if (!who) return undefined;
    events.open();
    return () => events.close();
  }, [who?.name]);
  useEffect(() => {
    if (told === "") return undefined;
    const timer = setTimeout(() => setTold(""), TOLD_MS);
    return () => clearTimeout(timer);
  }, [told]);
  const title = at.view === "broadcast" ? at.path : texts.views[at.view];
  useEffect(() => void (document.title = `${title} · ${texts.title}`), [title]);
  useEffect(() => {
    // Keyboards and screen readers go on at the new content, unless the page has only just opened.
    if (!opened.current) document.querySelector("h1")?.focus({ preventScroll: true });
    opened.current = false;
  }, [at.view, at.path]);

  /** @param {import("./address.js").Place} to */
  const go = (to) => {
    history.pushState(null, "", address(to));
    setAt(to);
    scrollTo(0, 0);
  };
  const leave = async () => {
    await ask("logout", { method: "POST" }).catch(() => null);
    await enter();
  };
  return html`
    <a class="skip" href="#content">${texts.skipToContent}</a>
    <${Header} at=${at} who=${who} go=${go} leave=${leave} />
    <main id="content" tabindex="-1">
      ${who
        ? html`<${View} at=${at} console=${{ who, go, tell: setTold }} />`
        : refused?.status === 401 ? html`<${Login} enter=${enter} />` : html`<${Closed} refused=${refused} />`}
    </main>
    <div class="told" role="status">${told && html`<p>${told}</p>`}</div>`;
}

/**
 * @param {{
 *   at: import("./address.js").Place, who: Who | null, go: (to: import("./address.js").Place) => void, leave: () => void,
 * }} props
 */
function Header({ at, who, go, leave }) {
  const shown = at.view === "broadcast" ? "broadcasts" : at.view;
  return html`
    <header class="top">
      <a class="brand" href="/console" aria-label=${texts.title} onClick=${follows(() => go({ view: "broadcasts", path: "" }))}>
        <${Mark} />${texts.title}
      </a>
      ${who && html`
        <nav aria-label=${texts.sections}>
          ${/** @type {const} */ (["broadcasts", "stages", "node", "activity", "keys", "config"]).map((view) => html`
            <a key=${view} href=${address({ view, path: "" })} aria-current=${view === shown ? "page" : undefined}
              onClick=${follows(() => go({ view, path: "" }))}>${texts.views[view]}</a>`)}
        </nav>`}
      <div class="who">
        ${who?.credential && html`
          <span class="soft" title=${texts.roles[who.role]}>${who.name}</span>
          <button type="button" class="quiet" data-action="logout" onClick=${leave}>${texts.login.leave}</button>`}
        <${LanguageSwitch} label=${texts.language} />
      </div>
    </header>`;
}

/** @param {{ at: import("./address.js").Place, console: import("./types.js").Console }} props */
function View({ at, console }) {
  switch (at.view) {
    case "broadcast":
      return html`<${OneBroadcast} key=${at.path} path=${at.path} ...${console} />`;
    case "stages":
      return html`<${Stages} ...${console} />`;
    case "node":
      return html`<${NodeView} ...${console} />`;
    case "activity":
      return html`<${Activity} ...${console} />`;
    case "keys":
      return html`<${Keys} ...${console} />`;
    case "config":
      return html`<${Configuration} ...${console} />`;
    default:
      return html`<${Broadcasts} ...${console} />`;
  }
}

/** What is said while the API can't be used. @param {{ refused: Refused | null }} props */
function Closed({ refused }) {
  const words = refused === null ? texts.closed.asking
    : refused.status === 0 ? texts.closed.unreachable
    : refused.status === 404 ? texts.closed.elsewhere
    : refused.status === 403 ? texts.closed.forbidden : texts.refusals.other(refused.status);
  return html`
    <div class="closed" data-closed=${refused?.status ?? ""}>
      <h1 tabindex="-1">${texts.title}</h1>
      <p class="notice ${refused ? "warn" : ""}" role="status">${words}</p>
      ${refused?.message && html`<p class="soft" lang="en">${refused.message}</p>`}
    </div>`;
}

const root = document.getElementById("app");
if (root) render(html`<${App} />`, root);
