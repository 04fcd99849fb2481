/**
 * The other side of a match, beside the broadcast that is watched, delivered the same way.
 * @module
 */

import { Session } from "../player/session.js";
import { texts } from "../texts.js";
import { html, useEffect, useRef, useState } from "../ui.js";

/** @param {{ paths: string[], via: import("../address.js").Via }} props */
export function Opposite({ paths, via }) {
  return html`
    <section class="opposite" data-view="opposite" aria-labelledby="opposite">
      <h2 id="opposite">${texts.watch.match} ${paths.join(", ")}</h2>
      ${paths.map((path) => html`<${Picture} key=${path} path=${path} via=${via} />`)}
    </section>`;
}

/** It starts without sound: two at once are heard by who asks for both. @param {{ path: string, via: import("../address.js").Via }} props */
function Picture({ path, via }) {
  const video = /** @type {{ current: HTMLVideoElement | null }} */ (useRef(null));
  const [phase, setPhase] = useState("connecting");
  useEffect(() => {
    if (!video.current) return undefined;
    video.current.muted = true;
    const session = new Session(video.current, path, via, (status) => setPhase(status.phase));
    return () => session.stop();
  }, [path, via]);
  return html`
    <div class="screen" data-opposite=${path} data-opposite-phase=${phase}>
      <video ref=${video} controls autoplay playsinline aria-label=${texts.watch.video(path)} />
    </div>`;
}
