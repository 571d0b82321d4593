/** One message: who, from which shard, the text, when, and of an own one what became of it. */
import { html } from '../html.js';

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
/** Number of avatar colours in messages.css. */
const tintCount = 6;

export function timeOf(atMs) {
  return timeFormat.format(atMs);
}

/** `isFollowUp`: the one before has the same sender, whose name is not repeated to the eye. */
export function Message({ chat, message, isOwn, isFollowUp }) {
  const { id, from, text, shard, atMs, delivery } = message;
  return html`
    <li class="message ${isOwn ? 'message-own' : ''} ${isFollowUp ? 'message-follow-up' : ''}">
      ${
        !isOwn &&
        !isFollowUp &&
        html`<span class="avatar tint-${tintOf(from)}" aria-hidden="true">${from.charAt(0)}</span>`
      }
      <div class="message-body">
        ${
          isOwn || isFollowUp
            ? html`<span class="sr-only">${from}${isOwn && ' (you)'}:</span>`
            : html`<p class="message-meta">
                <button class="sender" title=${`Message ${from}`} onClick=${() => chat.talkTo(from)}>${from}</button>
                ${shard !== undefined && html`<span class="via">shard ${shard}</span>`}
              </p>`
        }
        <p class="bubble" dir="auto">
          <span class="text">${text}</span>
          <time datetime=${new Date(atMs).toISOString()}>${timeOf(atMs)}</time>
        </p>
        ${delivery !== undefined && html`<${Delivery} delivery=${delivery} onAgain=${() => chat.postAgain(id)} />`}
      </div>
    </li>
  `;
}

function Delivery({ delivery: { state, problem }, onAgain }) {
  if (state === 'sending') return html`<p class="delivery">sending…</p>`;
  if (state === 'sent') return html`<p class="delivery"><span aria-hidden="true">✓ </span>sent</p>`;
  return html`
    <p class="delivery delivery-failed">Not sent. ${problem} <button class="small" onClick=${onAgain}>Try again</button></p>
  `;
}

function tintOf(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) % 997;
  return sum % tintCount;
}
