/** The few signs that have no good letter. Drawn in the colour of their text, hidden from screen readers. */
import { html } from '../html.js';

const paths = {
  pencil: 'M2.5 13.5l.8-3.2 7.6-7.6a1.2 1.2 0 0 1 1.7 0l.7.7a1.2 1.2 0 0 1 0 1.7l-7.6 7.6zM9.8 3.8l2.4 2.4',
  bin: 'M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.6 9h6.8l.6-9M6.6 7v4M9.4 7v4',
  lens: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3l3.2 3.2',
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d=${paths[name]} /></svg>`;
}
