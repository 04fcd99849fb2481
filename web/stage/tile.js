/**
 * One picture of a stage under its name: somebody else's by WebRTC, or one's own camera.
 * @module
 */

import { mediaUrl } from "../address.js";
import { texts } from "../texts.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { Watching } from "./watching.js";

/**
 * @param {{
 *   name: string, path: string, publishes: boolean, token: string | null, silent: boolean,
 *   audioMuted?: boolean, videoMuted?: boolean,
 * }} props `silent`: without sound here
 */
export function Tile({ name, path, publishes, token, silent, audioMuted = false, videoMuted = false }) {
  const words = texts.stage;
  const video = /** @type {{ current: HTMLVideoElement | null }} */ (useRef(null));
  const running = /** @type {{ current: Watching | null }} */ (useRef(null));
  const [phase, setPhase] = useState(/** @type {import("./watching.js").Phase} */ ("waiting"));
  useEffect(() => {
    if (!video.current || !publishes) return undefined;
    const url = mediaUrl(path, "webrtc", token === null ? "" : `token=${encodeURIComponent(token)}`);
    const watching = new Watching(video.current, url, setPhase);
    running.current = watching;
    return () => {
      running.current = null;
      watching.stop();
      setPhase("waiting");
    };
  }, [path, publishes, token]);
  useEffect(() => running.current?.expect(!videoMuted), [videoMuted, path, publishes, token]);
  // An attribute would set the default only.
  useEffect(() => {
    if (video.current) video.current.muted = silent;
  }, [silent]);
  const dark = videoMuted ? words.cameraOff : phase === "playing" ? "" : publishes ? words.connecting : words.notHere;
  return html`
    <li class="tile" data-tile=${name} data-tile-phase=${phase} data-audio-muted=${audioMuted} data-video-muted=${videoMuted}>
      <video ref=${video} autoplay playsinline aria-label=${words.pictureOf(name)} />
      ${dark && html`<p class="dark">${dark}</p>`}
      <p class="caption" dir="auto">${name}${audioMuted && ` · ${words.muted}`}</p>
    </li>`;
}

/** @param {{ name: string, media: MediaStream, audioMuted: boolean, videoMuted: boolean }} props */
export function OwnTile({ name, media, audioMuted, videoMuted }) {
  const words = texts.stage;
  const video = /** @type {{ current: HTMLVideoElement | null }} */ (useRef(null));
  useEffect(() => {
    if (!video.current) return;
    // One's own sound would come back through the microphone.
    video.current.muted = true;
    video.current.srcObject = media;
  }, [media]);
  return html`
    <li class="tile" data-own=${name} data-audio-muted=${audioMuted} data-video-muted=${videoMuted}>
      <video ref=${video} autoplay playsinline aria-label=${words.pictureOf(name)} />
      ${videoMuted && html`<p class="dark">${words.cameraOff}</p>`}
      <p class="caption" dir="auto">${words.you(name)}${audioMuted && ` · ${words.muted}`}</p>
    </li>`;
}
