/**
 * Preact with htm: markup in template strings, so that the page needs no build step.
 * @module
 */

import * as hooks from "./vendor/preact-hooks.mjs";
import * as preact from "./vendor/preact.mjs";
import htm from "./vendor/htm.mjs";

/** @type {typeof import("preact").render} */
export const render = preact.render;
/** @type {(strings: TemplateStringsArray, ...values: any[]) => import("preact").VNode} */
export const html = htm.bind(preact.h);
/** @type {typeof import("preact/hooks").useEffect} */
export const useEffect = hooks.useEffect;
/** @type {typeof import("preact/hooks").useMemo} */
export const useMemo = hooks.useMemo;
/** @type {typeof import("preact/hooks").useRef} */
export const useRef = hooks.useRef;
/** @type {typeof import("preact/hooks").useState} */
export const useState = hooks.useState;
