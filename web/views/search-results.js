/** What a search found, best first; a click goes there. */
import { html } from '../html.js';
import { useEffect, useRef } from '../vendor/preact-hooks.js';
import { whenOf } from './times.js';

export function SearchResults({ chat, me, search: { query, step, results, hasMore, problem } }) {
  const heading = useRef(null);
  useEffect(() => {
    if (step !== 'searching') heading.current.focus();
  }, [step, query]);
  return html`
    <section
      class="conversation"
      aria-label="Search results"
      onKeyDown=${(event) => event.key === 'Escape' && chat.closeSearch()}
    >
      <div class="conversation-head">
        <h2 tabindex="-1" ref=${heading}>“${query}”</h2>
        <span class="quiet small" role="status">${summaryOf(step, results.length, hasMore)}</span>
        <button class="small" onClick=${() => chat.closeSearch()}>Close<span class="sr-only"> search</span></button>
      </div>
      ${step === 'failed' && html`<p class="banner" role="alert">${problem}</p>`}
      <ol class="results">
        ${results.map((found) => html`<${Result} key=${found.id} chat=${chat} me=${me} found=${found} query=${query} />`)}
      </ol>
    </section>
  `;
}

function Result({ chat, me, found, query }) {
  const { from, text, atMs, editedAt, place } = found;
  return html`
    <li>
      <button class="result" onClick=${() => chat.goTo(found)}>
        <span class="result-meta">
          <strong>${place.kind === 'user' ? `@${place.name}` : place.name}</strong>
          <span>${from === me ? 'you' : from}</span>
          <time datetime=${new Date(atMs).toISOString()}>${whenOf(atMs)}</time>
          ${editedAt !== undefined && html`<span>edited</span>`}
        </span>
        <span class="result-text" dir="auto">${marked(text, query)}</span>
      </button>
    </li>
  `;
}

/** The words that were looked for, made to stand out. */
function marked(text, query) {
  const words = query.match(/[\p{L}\p{N}]+/gu) ?? [];
  if (words.length === 0) return text;
  return text
    .split(new RegExp(`(?<![\\p{L}\\p{N}])(${words.join('|')})(?![\\p{L}\\p{N}])`, 'giu'))
    .map((part, index) => (index % 2 === 1 ? html`<mark>${part}</mark>` : part));
}

function summaryOf(step, count, hasMore) {
  if (step === 'searching') return 'searching…';
  if (step === 'failed') return '';
  if (count === 0) return 'nothing found';
  if (hasMore) return `the best ${count} messages`;
  return count === 1 ? '1 message' : `${count} messages`;
}
