/** One message: who, from which shard, the text, when, and of an own one what became of it. */
import { html } from '../html.js';
import { DeleteQuestion, MessageActions, MessageEditor } from './message-actions.js';
import { timeOf } from './times.js';

/** Number of avatar colours in messages.css. */
const tintCount = 6;

/**
 * `isFollowUp`: the one before has the same sender, whose name is not repeated to the eye. `act`: what is being done with
 * it, 'edit' or 'delete'. `receipt`: of an own one, in words.
 */
export function Message({ chat, message, isOwn, isFollowUp, isFound, mayChange, act, onAct, receipt }) {
  const { id, messageId, from, shard, delivery, change } = message;
  const text = change?.text ?? message.text;
  const isIdle = mayChange && act === undefined && change === undefined;
  return html`
    <li
      class="message ${isOwn ? 'message-own' : ''} ${isFollowUp ? 'message-follow-up' : ''} ${isFound ? 'message-found' : ''}"
      data-message=${messageId}
    >
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
        ${
          act === 'edit'
            ? html`<${MessageEditor}
                text=${text}
                onSave=${(next) => chat.change(messageId, { kind: 'edit', text: next })}
                onClose=${() => onAct(undefined)}
              />`
            : html`<div class="message-line">
                ${isIdle && html`<${MessageActions} text=${text} onAct=${onAct} />`}
                <${Bubble} message=${message} text=${text} />
              </div>`
        }
        ${
          act === 'delete' &&
          html`<${DeleteQuestion}
            onDelete=${() => chat.change(messageId, { kind: 'delete' })}
            onClose=${() => onAct(undefined)}
          />`
        }
        ${delivery !== undefined && act !== 'edit' && html`<${Delivery} delivery=${delivery} onAgain=${() => chat.postAgain(id)} />`}
        ${change !== undefined && html`<${Change} chat=${chat} messageId=${messageId} change=${change} />`}
        ${receipt !== undefined && act !== 'edit' && html`<p class="delivery" title=${receipt.title}>${receipt.text}</p>`}
      </div>
    </li>
  `;
}

function Bubble({ message: { atMs, editedAt, isDeleted }, text }) {
  return html`
    <p class="bubble ${isDeleted ? 'bubble-deleted' : ''}" dir="auto">
      <span class="text">${isDeleted ? 'deleted' : text}</span>${' '}
      <span class="bubble-meta">
        ${editedAt !== undefined && !isDeleted && html`<span title=${timeOf(editedAt)}>edited </span>`}
        <time datetime=${new Date(atMs).toISOString()}>${timeOf(atMs)}</time>
      </span>
    </p>
  `;
}

function Delivery({ delivery: { state, problem }, onAgain }) {
  if (state === 'sending') return html`<p class="delivery">sending…</p>`;
  if (state === 'sent') return html`<p class="delivery"><span aria-hidden="true">✓ </span>sent</p>`;
  return html`
    <p class="delivery delivery-failed">Not sent. ${problem} <button class="small" onClick=${onAgain}>Try again</button></p>
  `;
}

function Change({ chat, messageId, change }) {
  const isEdit = change.kind === 'edit';
  if (change.state === 'sending') return html`<p class="delivery">${isEdit ? 'saving…' : 'deleting…'}</p>`;
  return html`
    <p class="delivery delivery-failed">
      ${isEdit ? 'Not saved.' : 'Not deleted.'} ${change.problem}${' '}
      <button class="small" onClick=${() => chat.change(messageId, change)}>Try again</button>${' '}
      <button class="small" onClick=${() => chat.dropChange(messageId)}>Leave it</button>
    </p>
  `;
}

function tintOf(name) {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + char.codePointAt(0)) % 997;
  return sum % tintCount;
}
