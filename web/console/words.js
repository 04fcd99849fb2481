/**
 * What programs say, for people.
 * @module
 */

import { bitrate, decimal } from "../format.js";
import { texts } from "./texts.js";

/** Why something failed. @param {import("./api.js").Refused} refused */
export function refusal({ status, message }) {
  const known = texts.refusals[/** @type {404} */ (status)] ?? texts.refusals.other(status);
  return message === "" ? known : texts.refusals.because(known, message);
}

/** @param {string} name as in `ws-flv` */
export function protocol(name) {
  return texts.protocols[/** @type {"rtmp"} */ (name)] ?? name;
}

/** `h264` as people write it. @param {string} name */
export function codec(name) {
  return texts.codecs[/** @type {"h264"} */ (name)] ?? name.toUpperCase();
}

/** @param {{ codec: string, width: number | null, height: number | null, fps?: number | null }} video */
export function video({ codec: name, width, height, fps }) {
  const size = width !== null && height !== null ? `${width}×${height}` : null;
  return [codec(name), size, fps ? texts.fps(decimal(fps, Number.isInteger(fps) ? 0 : 1)) : null].filter(Boolean).join(" · ");
}

/** @param {{ codec: string, sample_rate: number | null, channels: number | null }} audio */
export function audio({ codec: name, sample_rate, channels }) {
  const rate = sample_rate ? `${decimal(sample_rate / 1000, sample_rate % 1000 ? 1 : 0)} kHz` : null;
  return [codec(name), rate, channels ? texts.channels(channels) : null].filter(Boolean).join(" · ");
}

/** A curve in words. @param {string} name @param {number[]} values kbit/s */
export function rates(name, values) {
  if (values.length === 0) return texts.plot.nothing(name);
  const now = values[values.length - 1];
  return texts.plot.summary(name, bitrate(now), bitrate(Math.min(...values)), bitrate(Math.max(...values)));
}
