/**
 * One picture by WebRTC, played again and again until it is stopped.
 * @module
 */

import { playWebrtc } from "../player/webrtc.js";

/** @typedef {"connecting" | "playing" | "waiting"} Phase */

/** Between two attempts: people come back soon, and a camera that has just begun needs a moment. */
const PAUSES_MS = [500, 1000, 2000, 4000];

export class Watching {
  /**
   * @param {HTMLVideoElement} video
   * @param {string} url where to play from, with the token that it needs
   * @param {(phase: Phase) => void} changed
   */
  constructor(video, url, changed) {
    this.video = video;
    this.url = url;
    this.changed = changed;
    this.attempt = 0;
    /** Tells answers to an earlier connection apart. */
    this.generation = 0;
    this.timer = 0;
    /** Whether pictures are to be there. */
    this.pictures = true;
    /** So often was a connection without pictures begun anew for them. */
    this.asked = 0;
    /** @type {import("../player/transport.js").Transport | null} */
    this.transport = null;
    this.listening = new AbortController();
    const { signal } = this.listening;
    video.addEventListener("playing", () => this.playing(), { signal });
    this.connect();
  }

  stop() {
    this.listening.abort();
    this.disconnect();
  }

  disconnect() {
    this.generation += 1;
    clearTimeout(this.timer);
    this.transport?.stop();
    this.transport = null;
  }

  playing() {
    this.attempt = 0;
    this.changed("playing");
  }

  /**
   * Says whether pictures are to be there, as far as whoever runs the stage is concerned.
   * @param {boolean} pictures
   */
  expect(pictures) {
    [this.pictures, this.asked] = [pictures, 0];
    this.lookForPictures();
  }

  /** A connection that began while there were none has no place for pictures. Whoever has no camera is asked some times only. */
  lookForPictures() {
    const media = this.video.srcObject;
    const none = media instanceof MediaStream && media.getVideoTracks().length === 0;
    if (!this.pictures || this.transport === null || !none || this.asked >= PAUSES_MS.length) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), PAUSES_MS[this.asked]);
    this.asked += 1;
  }

  async connect() {
    this.disconnect();
    const { generation, video } = this;
    this.changed("connecting");
    const failed = () => this.generation === generation && this.failed();
    try {
      const transport = await playWebrtc(video, this.url, failed);
      // It may have failed, or been stopped, while the answer was on its way.
      if (this.generation !== generation) {
        transport.stop();
        return;
      }
      this.transport = transport;
      this.lookForPictures();
      await video.play();
    } catch (error) {
      // Without a click on the page the browser may refuse to start with sound; it starts when there was one.
      if (!(error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name))) failed();
    }
  }

  failed() {
    this.disconnect();
    this.changed("waiting");
    const pause = PAUSES_MS[Math.min(this.attempt, PAUSES_MS.length - 1)];
    this.attempt += 1;
    this.timer = setTimeout(() => this.connect(), pause);
  }
}
