/**
 * The page: which view, and what it shares with the others.
 * @module
 */

import { address, place } from "./address.js";
import { NOTHING_KNOWN, follow } from "./broadcasts.js";
import { language, texts } from "./texts.js";
import { html, render, useEffect, useRef, useState } from "./ui.js";
import { Home } from "./views/home.js";
import { Watch } from "./views/watch.js";

function App() {
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
      <a class="brand" href="/" onClick=${follows(() => go({ path: null, via: at.via }))}>
        <${Mark} />${texts.productName}
      </a>
      ${live.state === "known" && html`
        <p class="live-count" data-live-count=${live.broadcasts.length}>
          <span class="dot ${live.broadcasts.length > 0 ? "on" : ""}" aria-hidden="true" />
          ${texts.list.count(live.broadcasts.length)}
        </p>`}
    </header>
    <main id="content" tabindex="-1">
      ${at.path === null
        ? html`<${Home} live=${live} via=${at.via} go=${go} follows=${follows} />`
        : html`<${Watch} path=${at.path} via=${at.via} live=${live} go=${go} follows=${follows} />`}
    </main>`;
}

function Mark() {
  return html`
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M6 13.5c3.3-4.6 6.7-4.6 10 0s6.7 4.6 10 0" />
      <path d="M6 20.5c3.3-4.6 6.7-4.6 10 0s6.7 4.6 10 0" opacity=".55" />
    </svg>`;
}

/**
 * A link's click handler that stays on the page, unless the viewer wants a new tab or window.
 * @param {() => void} action
 */
export function follows(action) {
  return (/** @type {MouseEvent} */ event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    action();
  };
}

document.documentElement.lang = language;
const root = document.getElementById("app");
if (root) render(html`<${App} />`, root);
