/**
 * Where a broadcast is published and played, as the running configuration says.
 * @module
 */

import { useEffect, useState } from "../ui.js";
import { ask } from "./api.js";
import { texts } from "./texts.js";

/** @typedef {{ rtmp: string, http: string }} Ports */

/** What a server listens on that says nothing else. @type {Ports} */
const USUAL = { rtmp: "1935", http: "8080" };

/** @param {{ vhost: string, app: string, name: string, path: string }} broadcast */
export function useAddresses({ vhost, app, name, path }) {
  const ports = usePorts();
  // A vhost's own name is always one of its hosts.
  const host = vhost === "default" ? location.hostname : vhost;
  const rtmp = `rtmp://${host}${ports.rtmp === "1935" ? "" : `:${ports.rtmp}`}`;
  const http = `http://${host}${ports.http === "80" ? "" : `:${ports.http}`}`;
  const coded = [...app.split("/"), name].filter(Boolean).map(encodeURIComponent).join("/");
  const shown = vhost === "default" ? path : [app, name].filter(Boolean).join("/");
  return [
    { name: texts.urls.page, url: `${http}/?path=${encodeURIComponent(shown).replaceAll("%2F", "/")}`, page: true },
    { name: texts.urls.publish, url: `${rtmp}/${coded}` },
    { name: texts.protocols.hls, url: `${http}/${coded}/index.m3u8` },
    { name: texts.protocols.flv, url: `${http}/${coded}.flv` },
    { name: texts.protocols["ws-flv"], url: `${http.replace("http", "ws")}/${coded}.flv` },
    { name: texts.protocols.rtmp, url: `${rtmp}/${coded}` },
  ];
}

/** Of a page of the public listener. @param {string} page with the slash before it @param {Ports} ports */
export function pageUrl(page, ports) {
  return `http://${location.hostname}${ports.http === "80" ? "" : `:${ports.http}`}${page}`;
}

/** @returns {Ports} */
export function usePorts() {
  const [ports, setPorts] = useState(USUAL);
  useEffect(() => {
    const read = async () => {
      const config = await ask("config");
      const port = (/** @type {string | undefined} */ listen, /** @type {string} */ usual) => listen?.match(/:(\d+)$/)?.[1] ?? usual;
      setPorts({ rtmp: port(config.rtmp?.listen, USUAL.rtmp), http: port(config.http?.listen, USUAL.http) });
    };
    // Who may not read the configuration sees the usual ports.
    read().catch(() => null);
  }, []);
  return ports;
}
