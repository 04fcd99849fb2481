/**
 * Brings FLV bytes to mpegts.js, over HTTP or WebSocket. Its own loaders leave a silent connection open after a stop,
 * and tell the bytes received only as a rough speed.
 * @module
 */

import { laterOf } from "./transport.js";

/**
 * A loader class for one player; `received` hears the size of everything that arrives, `later` when the server wants to be asked
 * again, in seconds. (A WebSocket that is refused tells a page no more than that.)
 * @param {typeof import("mpegts.js").default} mpegts
 * @param {(bytes: number) => void} received
 * @param {(seconds: number) => void} later
 */
export function loaderClass(mpegts, received, later) {
  const { LoaderStatus, LoaderErrors } = mpegts;

  return class FlvLoader extends mpegts.BaseLoader {
    constructor() {
      super("flv-loader");
      this.aborted = new AbortController();
      this.total = 0;
    }

    /** @override @param {{ url: string }} source */
    open({ url }) {
      this._status = LoaderStatus.kConnecting;
      const work = url.startsWith("ws") ? this.overWebSocket(url) : this.overHttp(url);
      work.catch((error) => this.fail(LoaderErrors.EXCEPTION, { code: -1, msg: String(error) }));
    }

    /** @override */
    abort() {
      this._status = LoaderStatus.kComplete;
      this.aborted.abort();
    }

    /** @override */
    destroy() {
      this.abort();
      super.destroy();
    }

    /** @param {string} url */
    async overHttp(url) {
      const answer = await fetch(url, { signal: this.aborted.signal, cache: "no-store" });
      if (!answer.ok || !answer.body) {
        later(laterOf(answer));
        this.fail(LoaderErrors.HTTP_STATUS_CODE_INVALID, { code: answer.status, msg: answer.statusText });
        return;
      }
      const reader = answer.body.getReader();
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        const { buffer, byteOffset, byteLength } = read.value;
        const whole = byteLength === buffer.byteLength;
        this.arrived(whole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength));
      }
      this.complete();
    }

    /** @param {string} url @returns {Promise<void>} */
    overWebSocket(url) {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      this.aborted.signal.addEventListener("abort", () => socket.close());
      return new Promise((resolve, reject) => {
        socket.onmessage = ({ data }) => data instanceof ArrayBuffer && this.arrived(data);
        socket.onerror = () => reject(new Error("the WebSocket failed"));
        socket.onclose = () => {
          this.complete();
          resolve();
        };
      });
    }

    /** @param {ArrayBuffer} bytes */
    arrived(bytes) {
      if (this.aborted.signal.aborted) return;
      this._status = LoaderStatus.kBuffering;
      const begin = this.total;
      this.total += bytes.byteLength;
      received(bytes.byteLength);
      this.onDataArrival(bytes, begin, this.total);
    }

    complete() {
      if (this.aborted.signal.aborted || !this.isWorking()) return;
      this._status = LoaderStatus.kComplete;
      this.onComplete(0, this.total - 1);
    }

    /** @param {any} kind @param {{ code: number, msg: string }} info */
    fail(kind, info) {
      if (this.aborted.signal.aborted) return;
      this._status = LoaderStatus.kError;
      this.onError(kind, info);
    }
  };
}
