/** Who is there: the number of a topic's members and, when asked for, their names; or how the other user is. */
import { html } from '../html.js';
import { whenOf } from './times.js';

const listId = 'members';

/** Of too many the server tells the number only. */
export function MemberCount({ members: { count, users }, isOpen, onOpen }) {
  const words = `${count} here`;
  if (users === undefined) return html`<span class="quiet small">${words}</span>`;
  return html`<button
    class="small here"
    aria-expanded=${isOpen}
    aria-controls=${listId}
    onClick=${() => onOpen(!isOpen)}
  >
    ${words}
  </button>`;
}

export function MemberList({ chat, me, users, onClose }) {
  const onKeyDown = (event) => {
    if (event.key === 'Escape') onClose();
  };
  return html`
    <ul id=${listId} class="members small" aria-label="Who is here" onKeyDown=${onKeyDown}>
      ${users.map(
        ({ user, status }) => html`
          <li key=${user}>
            <${Dot} status=${status} />
            ${
              user === me
                ? html`<span>${user} (you)</span>`
                : html`<button class="sender" title=${`Message ${user}`} onClick=${() => chat.talkTo(user)}>${user}</button>`
            }
            ${' '}<span class=${status === 'online' ? 'sr-only' : 'quiet'}>${status}</span>
          </li>
        `,
      )}
    </ul>
  `;
}

export function PersonState({ presence: { status, lastSeen } }) {
  const isGone = status === 'offline' && lastSeen !== undefined;
  return html`<span class="quiet small person-state">
    <${Dot} status=${status} /> ${isGone ? `last seen ${whenOf(lastSeen)}` : status}
  </span>`;
}

/** The word for it stands beside it. */
function Dot({ status }) {
  return html`<span class="presence presence-${status}" aria-hidden="true"></span>`;
}
