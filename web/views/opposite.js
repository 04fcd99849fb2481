/**
 * The other side of a match, beside the broadcast that is watched, delivered the same way.
 * @module
 */

import { Session } from "../player/session.js";
import { texts } from "../texts.js";
import { html, useEffect, useRef, useState } from "../ui.js";

/** @param {{ paths: string[], via: import("../address.js").Via, credentials: string }} props */
export function Opposite({ paths, via, credentials }) {
  return html`
    <section class="opposite" data-view="opposite" aria-labelledby="opposite">
      <h2 id="opposite">${texts.watch.match} ${paths.join(", ")}</h2>
      ${paths.map((path) => html`<${Picture} key=${path} path=${path} via=${via} credentials=${credentials} />`)}
    </section>`;
}

/** It starts without sound: two at once are heard by who asks for both. @param {{ path: string, via: import("../address.js").Via, credentials: string }} props */
function Picture({ path, via, credentials }) {
  const video = /** @type {{ current: HTMLVideoElement | null }} */ (useRef(null));
  const [phase, setPhase] = useState("connecting");
  useEffect(() => {
    if (!video.current) return undefined;
    video.current.muted = true;
    const session = new Session(video.current, path, { via, credentials }, (status) => setPhase(status.phase));
    return () => session.stop();
  }, [path, via, credentials]);
  return html`
    <div class="screen" data-opposite=${path} data-opposite-phase=${phase}>
      <video ref=${video} controls autoplay playsinline aria-label=${texts.watch.video(path)} />
    </div>`;
}
