/** The page of somebody who is signed in: header, conversations, the one that is open. */
import { html } from '../html.js';
import { find } from '../state.js';
import { Conversation } from './conversation.js';
import { ConversationTabs } from './conversation-tabs.js';
import { Header } from './header.js';
import { NewConversation } from './new-conversation.js';
import { TryThis } from './try-this.js';

export function ChatPage({ chat, state }) {
  const active = find(state, state.activeKey);
  return html`
    <div class="page">
      <${Header} chat=${chat} state=${state} />
      <nav class="side" aria-label="Conversations">
        <${ConversationTabs} chat=${chat} state=${state} />
        <${NewConversation} chat=${chat} />
        <${TryThis} />
      </nav>
      <main class="main">
        ${
          active === undefined
            ? html`<p class="quiet nothing">No conversation is open. Join a topic or message a person.</p>`
            : html`<${Conversation} key=${active.key} chat=${chat} state=${state} conversation=${active} />`
        }
      </main>
    </div>
  `;
}
