/** Entry: one Chat, rendered again after each change, and the few things of the browser that it needs. */
import { Chat } from './chat/chat.js';
import { credentialsOfName } from './credentials.js';
import { html } from './html.js';
import { recall, remember } from './session-memory.js';
import { render } from './vendor/preact.js';
import { useEffect, useState } from './vendor/preact-hooks.js';
import { ChatPage } from './views/chat-page.js';
import { SignIn } from './views/sign-in.js';

let onChange = () => {};
const chat = new Chat({
  url: new URL('/ws', location.href.replace(/^http/, 'ws')).href,
  isVisible: () => document.visibilityState === 'visible',
  onChange: () => onChange(),
  remember,
  countShards,
});

function App() {
  const [state, setState] = useState(chat.state);
  useEffect(() => {
    onChange = () => setState(chat.state);
    onChange();
  }, []);
  const unreadCount = state.conversations.reduce((sum, conversation) => sum + conversation.unreadCount, 0);
  useEffect(() => {
    document.title = unreadCount > 0 ? `(${unreadCount}) Carillon` : 'Carillon';
  }, [unreadCount]);
  return state.isSignedIn
    ? html`<${ChatPage} chat=${chat} state=${state} />`
    : html`<${SignIn} chat=${chat} problem=${state.problem} />`;
}

/** For the row of shards in the header; 0 when the server does not say. */
async function countShards() {
  try {
    const response = await fetch('/info');
    const { shards } = await response.json();
    return shards;
  } catch {
    return 0;
  }
}

/** A reload goes on as the same user, with the same conversations. */
async function signInAgain() {
  const session = recall();
  if (session === undefined) return;
  try {
    await chat.signIn(credentialsOfName(session.name), session);
  } catch (error) {
    chat.signOut(error.message);
  }
}

addEventListener('online', () => chat.retryNow());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') chat.onShown();
});
void signInAgain();
render(html`<${App} />`, document.getElementById('app'));
