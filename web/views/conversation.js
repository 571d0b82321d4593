/** One conversation: its name and state, the messages, the place to write. */
import { html } from '../html.js';
import { isStored } from '../state.js';
import { useState } from '../vendor/preact-hooks.js';
import { Composer, focusComposer } from './composer.js';
import { panelId, tabId } from './conversation-tabs.js';
import { MessageLog } from './message-log.js';
import { Typists } from './typists.js';
import { MemberCount, MemberList, PersonState } from './who-is-here.js';

const memberships = { joining: 'joining…', joined: 'joined', refused: 'not joined' };

export function Conversation({ chat, state, conversation }) {
  const { key, kind, name, membership, problem } = conversation;
  // Who was there when the connection was lost is no news.
  const members = state.phase.name === 'connected' ? conversation.members : undefined;
  const [isListOpen, setIsListOpen] = useState(false);
  /** `{id, act}` of an own message that is being edited, or deleted perhaps. */
  const [acting, setActing] = useState(undefined);
  const act = (next) => {
    setActing(next);
    if (next === undefined) focusComposer();
  };
  const editLast = () => {
    const last = lastOwn(conversation, state.me);
    if (last !== undefined) setActing({ id: last.id, act: 'edit' });
  };
  return html`
    <section class="conversation" id=${panelId} role="tabpanel" aria-labelledby=${tabId(key)}>
      <div class="conversation-head">
        <h2>${kind === 'user' ? `@${name}` : name}</h2>
        <${ConversationState} phase=${state.phase} conversation=${conversation} />
        ${
          members !== undefined &&
          html`<${MemberCount} members=${members} isOpen=${isListOpen} onOpen=${setIsListOpen} />`
        }
        <button class="leave small" onClick=${() => chat.leave(key)}>
          ${kind === 'topic' ? 'Leave' : 'Close'}<span class="sr-only"> ${name}</span>
        </button>
      </div>
      ${
        isListOpen &&
        members?.users !== undefined &&
        html`<${MemberList} chat=${chat} me=${state.me} users=${members.users} onClose=${() => setIsListOpen(false)} />`
      }
      ${
        problem !== undefined &&
        html`<p class="banner" role="alert">
          ${problem} ${
            membership === 'refused' &&
            html`<button class="small" onClick=${() => chat.join(name)}>Join again</button>`
          }
        </p>`
      }
      <${MessageLog} chat=${chat} me=${state.me} conversation=${conversation} acting=${acting} onAct=${act} />
      <${Typists} typists=${conversation.typists} />
      ${
        kind !== 'everyone' &&
        html`<${Composer} chat=${chat} state=${state} conversation=${conversation} onEditLast=${editLast} />`
      }
    </section>
  `;
}

function lastOwn(conversation, me) {
  if (!isStored(conversation)) return undefined;
  return conversation.entries.findLast(
    ({ from, offset, isDeleted, change }) =>
      from === me && offset !== undefined && !isDeleted && change === undefined,
  );
}

function ConversationState({ phase, conversation: { kind, membership, presence } }) {
  if (presence !== undefined && phase.name === 'connected')
    return html`<${PersonState} presence=${presence} />`;
  return html`<span class="quiet small">${stateWords(phase, kind, membership)}</span>`;
}

function stateWords(phase, kind, membership) {
  if (kind === 'user') return 'direct messages';
  if (kind === 'everyone') return 'read only';
  return phase.name === 'connected' ? memberships[membership] : 'not connected';
}
