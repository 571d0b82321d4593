/** The hint that makes the point: two windows, two users, two cores. */
import { html } from '../html.js';

export function TryThis() {
  return html`
    <aside class="card try-this" aria-label="Try this">
      <h2>Try this</h2>
      <p>
        <a href="/" target="_blank" rel="noopener">Open a second window</a>, sign in there under another name and write
        to each other. The numbers at the top are the server’s shards, one thread per core: with luck the two windows
        sit on different ones, and each message crosses from core to core.
      </p>
    </aside>
  `;
}
