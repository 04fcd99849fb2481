/**
 * A table that turns into a list of cards on a phone.
 * @module
 */

import { html } from "../../ui.js";

/**
 * The roles are written out, since browsers forget them when a style sheet lays a table out as something else.
 * @param {{
 *   label: string, columns: { name: string, numeric?: boolean, hidden?: boolean }[],
 *   rows: { key: string, cells: any[] }[], empty: string,
 * }} props `hidden` names a column for screen readers only
 */
export function Table({ label, columns, rows, empty }) {
  if (rows.length === 0) return html`<p class="soft">${empty}</p>`;
  return html`
    <table role="table" aria-label=${label}>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map(({ name, numeric, hidden }) => html`
            <th role="columnheader" scope="col" class=${numeric ? "numeric" : ""}>
              <span class=${hidden ? "visually-hidden" : ""}>${name}</span>
            </th>`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map(({ key, cells }) => html`
          <tr role="row" key=${key} data-row=${key}>
            ${cells.map((cell, at) => html`
              <td role="cell" class=${columns[at].numeric ? "numeric" : ""}
                data-label=${columns[at].hidden ? "" : columns[at].name}>${cell}</td>`)}
          </tr>`)}
      </tbody>
    </table>`;
}
