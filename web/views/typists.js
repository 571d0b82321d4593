/** Who is writing. Always there, so that it is read out in its turn, and nothing moves when it has something to say. */
import { html } from '../html.js';
import { typingWords } from '../wording.js';

export function Typists({ typists }) {
  return html`<p class="typists quiet small" role="status" aria-label="Typing">${typingWords(typists)}</p>`;
}
