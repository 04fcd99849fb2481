/**
 * How to publish a broadcast to this server.
 * @module
 */

import { Copy } from "../frame.js";
import { texts } from "../texts.js";
import { html } from "../ui.js";

/** The port that an RTMP URL means when it names none. */
const USUAL_PORT = 1935;

/** @param {{ port: number | null }} props where the server listens for RTMP */
export function Publish({ port }) {
  const server = `rtmp://${location.hostname}${port === null || port === USUAL_PORT ? "" : `:${port}`}/live`;
  const command = [
    "ffmpeg -re -i FILE \\",
    "  -c:v libx264 -preset veryfast -bf 0 -g 60 \\",
    `  -c:a aac -f flv ${server}/mine`,
  ].join("\n");
  return html`
    <section class="publish" aria-label=${texts.publish.title}>
      <div>
        <h3>${texts.publish.ffmpeg}</h3>
        <pre tabindex="0"><code>${command}</code></pre>
        <${Copy} text=${command} words=${texts.publish} />
      </div>
      <div>
        <h3>${texts.publish.obs}</h3>
        <dl>
          ${texts.publish.obsSteps.map(([setting, value]) => html`
            <dt>${setting}</dt><dd>${value.replace("{server}", server)}</dd>`)}
        </dl>
      </div>
      <p class="note"><a href="/publish">${texts.publish.browser}</a></p>
      <p class="note">${texts.publish.note}</p>
    </section>`;
}
