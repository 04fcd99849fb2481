/**
 * The page: which view, and what it shares with the others.
 * @module
 */

import { address, place } from "./address.js";
import { NOTHING_KNOWN, follow } from "./broadcasts.js";
import { LanguageSwitch, Mark, follows } from "./frame.js";
import { useLanguage } from "./language.js";
import { texts } from "./texts.js";
import { html, render, useEffect, useRef, useState } from "./ui.js";
import { Home } from "./views/home.js";
import { Watch } from "./views/watch.js";

function App() {
  useLanguage();
  const [at, setAt] = useState(place);
  const [live, setLive] = useState(NOTHING_KNOWN);
  const opened = useRef(true);
  useEffect(() => follow(setLive), []);
  useEffect(() => {
    const back = () => setAt(place());
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  useEffect(() => {
    document.title = at.path === null ? texts.productName : `${at.path} · ${texts.productName}`;
    // Keyboards and screen readers go on at the new content, unless the page has only just opened.
    if (!opened.current) document.querySelector("h1")?.focus({ preventScroll: true });
    opened.current = false;
  }, [at.path]);

  /** @param {import("./address.js").Place} to */
  const go = (to) => {
    // Another delivery of the same broadcast is no step that the back button should repeat.
    if (to.path === at.path) history.replaceState(null, "", address(to));
    else history.pushState(null, "", address(to));
    setAt(to);
  };

  return html`
    <a class="skip" href="#content">${texts.skipToContent}</a>
    <header class="top">
      <a class="brand" href="/" onClick=${follows(() => go({ ...at, path: null }))}>
        <${Mark} />${texts.productName}
      </a>
      ${live.state === "known" && html`
        <p class="live-count" data-live-count=${live.broadcasts.length}>
          <span class="dot ${live.broadcasts.length > 0 ? "on" : ""}" aria-hidden="true" />
          ${texts.list.count(live.broadcasts.length)}
        </p>`}
      <${LanguageSwitch} label=${texts.language} />
    </header>
    <main id="content" tabindex="-1">
      ${at.path === null
        ? html`<${Home} live=${live} via=${at.via} credentials=${at.credentials} go=${go} />`
        : html`<${Watch} path=${at.path} via=${at.via} credentials=${at.credentials} live=${live} go=${go} />`}
    </main>`;
}

const root = document.getElementById("app");
if (root) render(html`<${App} />`, root);
