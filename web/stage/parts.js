/**
 * The pictures of a stage: the other members for a member, what was chosen for the audience, and the other side of a match.
 * @module
 */

import { duration } from "../format.js";
import { texts } from "../texts.js";
import { html, useEffect, useState } from "../ui.js";
import { Tile } from "./tile.js";

/** @typedef {import("./api.js").Stage} Stage */
/** @typedef {import("./api.js").Member} Member */

/** @param {{ stage: Stage, pass: string | null, children?: any }} props */
export function Others({ stage, pass, children }) {
  const words = texts.stage;
  const others = stage.members.filter((member) => member.state === "on_stage" && member.name !== stage.you);
  const expected = stage.members.filter((member) => member.state !== "on_stage").map((member) => member.name);
  return html`
    <ul class="tiles" aria-label=${words.members}>
      ${children}
      ${others.map((member) => html`<${MemberTile} key=${member.name} member=${member} token=${pass} silent=${false} />`)}
    </ul>
    ${expected.length > 0 && html`<p class="note">${words.expected(expected.join(", "))}</p>`}`;
}

/** @param {{ stage: Stage, token: string | null }} props */
export function Shown({ stage, token }) {
  const words = texts.stage;
  // Browsers start by themselves without sound only.
  const [silent, setSilent] = useState(true);
  const shown = stage.layout.map((name) => stage.members.find((member) => member.name === name)).filter((member) => member !== undefined);
  if (shown.length === 0) return stage.match === null || stage.members.length > 0 ? html`<p class="notice">${words.empty}</p>` : null;
  return html`
    <div class="actions">
      <button type="button" class="quiet" data-action="sound" aria-pressed=${!silent} onClick=${() => setSilent(!silent)}>
        ${words.sound}
      </button>
    </div>
    <ul class="tiles" aria-label=${words.members}>
      ${shown.map((member) => html`<${MemberTile} key=${member.name} member=${member} token=${token} silent=${silent} />`)}
    </ul>`;
}

/** @param {{ member: Member, token: string | null, silent: boolean }} props */
function MemberTile({ member, token, silent }) {
  return html`<${Tile} name=${member.name} path=${member.path} publishes=${member.publishes} token=${token} silent=${silent}
    audioMuted=${member.audio_muted} videoMuted=${member.video_muted} />`;
}

/** @param {{ match: import("./api.js").Match, silent: boolean }} props */
export function Opposite({ match, silent }) {
  const words = texts.stage;
  const left_s = useCountdown(match.ends_in_s);
  return html`
    <section class="cohosts" data-match=${match.with} aria-labelledby="match">
      <h2 id="match">${words.match(match.with)}</h2>
      <p class="note">${words.left(duration(left_s))}</p>
      <ul class="tiles">
        ${match.pictures.map((path) => html`
          <${Tile} key=${path} name=${path} path=${path} publishes=${true} token=${match.token} silent=${silent} />`)}
      </ul>
    </section>`;
}

/** Seconds that are left, counted down from what the server said. @param {number} seconds */
function useCountdown(seconds) {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    const end = performance.now() + seconds * 1000;
    const tick = () => setLeft(Math.max(0, Math.round((end - performance.now()) / 1000)));
    tick();
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return left;
}
