/** One conversation: its name and state, the messages, the place to write. */
import { html } from '../html.js';
import { Composer } from './composer.js';
import { panelId, tabId } from './conversation-tabs.js';
import { MessageLog } from './message-log.js';

const intros = {
  topic:
    'Everybody who joined this topic reads what is written here. Nothing is stored: a reload starts empty.',
  user: 'Only the two of you read this, on all your devices. Nothing is stored: a reload starts empty.',
  everyone: 'What the server’s operators say to everybody.',
};

export function Conversation({ chat, state, conversation }) {
  const { key, kind, name, membership, problem, entries } = conversation;
  const mayJoin = membership === 'refused' || membership === 'ended';
  return html`
    <section class="conversation" id=${panelId} role="tabpanel" aria-labelledby=${tabId(key)}>
      <div class="conversation-head">
        <h2>${kind === 'user' ? `@${name}` : name}</h2>
        <span class="quiet small">${stateWords(state.phase, conversation)}</span>
        <button class="small" onClick=${() => chat.leave(key)}>
          ${kind === 'topic' ? 'Leave' : 'Close'}<span class="sr-only"> ${name}</span>
        </button>
      </div>
      ${
        problem !== undefined &&
        html`<p class="banner" role="alert">
          ${problem} ${mayJoin && html`<button class="small" onClick=${() => chat.join(name)}>Join again</button>`}
        </p>`
      }
      <${MessageLog} chat=${chat} me=${state.me} name=${name} entries=${entries} intro=${intros[kind]} />
      ${kind !== 'everyone' && html`<${Composer} chat=${chat} state=${state} conversation=${conversation} />`}
    </section>
  `;
}

function stateWords(phase, { kind, membership }) {
  if (kind === 'user') return 'direct messages';
  if (kind === 'everyone') return 'read only';
  if (phase.name !== 'connected') return 'not connected';
  return { joining: 'joining…', joined: 'joined', refused: 'not joined', ended: 'not joined any more' }[
    membership
  ];
}
