/** The page of somebody who is signed in: header, conversations, the one that is open, or what a search found. */
import { html } from '../html.js';
import { find } from '../state.js';
import { Conversation } from './conversation.js';
import { ConversationTabs } from './conversation-tabs.js';
import { Header } from './header.js';
import { NewConversation } from './new-conversation.js';
import { SearchResults } from './search-results.js';
import { TryThis } from './try-this.js';

export function ChatPage({ chat, state }) {
  return html`
    <div class="page">
      <${Header} chat=${chat} state=${state} />
      <nav class="side" aria-label="Conversations">
        <${ConversationTabs} chat=${chat} state=${state} />
        <${NewConversation} chat=${chat} />
        <${TryThis} />
      </nav>
      <main class="main">
        <p class="banner banner-quiet" role="status" aria-label="Store">
          ${state.isStoreAway && 'The server’s store is away: nothing can be sent or looked up until it is back.'}
        </p>
        <${Shown} chat=${chat} state=${state} />
      </main>
    </div>
  `;
}

function Shown({ chat, state }) {
  const { search, me } = state;
  if (search !== undefined) return html`<${SearchResults} chat=${chat} me=${me} search=${search} />`;
  const active = find(state, state.activeKey);
  if (active !== undefined)
    return html`<${Conversation} key=${active.key} chat=${chat} state=${state} conversation=${active} />`;
  return html`<p class="quiet nothing">No conversation is open. Join a topic or message a person.</p>`;
}
