/**
 * Numbers, sizes, times and dates as the reader's language writes them.
 * @module
 */

import { language } from "./language.js";

/** @param {number} n @param {number} digits behind the point */
export function decimal(n, digits = 0) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(n);
}

/** @param {number} share 1 is all of it */
export function percent(share) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }).format(share);
}

/** @param {number} kbit_s */
export function bitrate(kbit_s) {
  if (kbit_s >= 1e6) return `${decimal(kbit_s / 1e6, 2)} Gbit/s`;
  return kbit_s >= 1000 ? `${decimal(kbit_s / 1000, 1)} Mbit/s` : `${decimal(kbit_s)} kbit/s`;
}

/** @param {number} bytes in steps of 1024, as memory is counted */
export function bytes(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** step;
  return `${decimal(amount, step > 0 && amount < 100 ? 1 : 0)} ${units[step]}`;
}

/** Its two largest units: `1 hr 5 min`. @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return unit(whole, "second");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return unit(minutes, "minute");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${unit(hours, "hour")} ${unit(minutes % 60, "minute")}`;
  return `${unit(Math.floor(hours / 24), "day")} ${unit(hours % 24, "hour")}`;
}

/** @param {number} n @param {"second" | "minute" | "hour" | "day"} of */
function unit(n, of) {
  return new Intl.NumberFormat(language, { style: "unit", unit: of, unitDisplay: "short" }).format(n);
}

/** Date and time of day. @param {Date} when */
export function moment(when) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(when);
}

/** Time of day with seconds. @param {Date} when */
export function clock(when) {
  return new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" }).format(when);
}
