/** The top of the messages: what is older, or how the conversation begins. */
import { html } from '../html.js';

const begin = {
  durable: 'Everybody who joins this topic reads what is written here.',
  cached:
    'Everybody who joined this topic reads what is written here. The server keeps little of it, and not for long.',
  volatile:
    'Everybody who joined this topic reads what is written here. Nothing is stored: a reload starts empty.',
  user: 'Only the two of you read this, on all your devices.',
  everyone: 'What the server’s operators say to everybody.',
};

export function LogStart({ conversation: { kind, topicClass, history, historyProblem, entries }, onOlder }) {
  switch (history) {
    case 'more':
      return html`<p class="note"><button class="small" onClick=${onOlder}>Older messages</button></p>`;
    case 'loading':
      // Where there was a button there is one still, so that it keeps the focus.
      return entries.length > 0
        ? html`<p class="note"><button class="small" aria-disabled="true">Loading…</button></p>`
        : html`<p class="note">Loading…</p>`;
    case 'failed':
      return html`<p class="note">
        What is older could not be loaded. ${historyProblem}${' '}
        <button class="small" onClick=${onOlder}>Try again</button>
      </p>`;
    case 'unknown':
      return null;
    default:
      return html`<p class="note">${begin[topicClass ?? kind] ?? begin.durable}</p>`;
  }
}
