/** The conversations as tabs, with unread badges. Arrow keys, Home and End move, as in any list of tabs. */
import { html } from '../html.js';
import { useEffect, useRef } from '../vendor/preact-hooks.js';

export const panelId = 'conversation';
const signs = { topic: '#', user: '@', everyone: '*' };

export function ConversationTabs({ chat, state: { conversations, activeKey } }) {
  const list = useRef(null);
  useEffect(() => {
    const selected = list.current?.querySelector('[aria-selected="true"]');
    selected?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [activeKey]);
  if (conversations.length === 0) return null;
  const move = (event) => {
    const index = conversations.findIndex(({ key }) => key === activeKey);
    const next = nextIndex(event.key, index, conversations.length);
    if (next === undefined) return;
    event.preventDefault();
    chat.select(conversations[next].key);
    list.current.children[next].focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label="Open conversations" ref=${list} onKeyDown=${move}>
      ${conversations.map(
        ({ key, kind, name, unreadCount }) => html`
          <button
            key=${key}
            id=${tabId(key)}
            class="tab"
            role="tab"
            aria-selected=${key === activeKey}
            aria-controls=${key === activeKey ? panelId : undefined}
            tabindex=${key === activeKey ? 0 : -1}
            onClick=${() => chat.select(key)}
          >
            <span class="sign" aria-hidden="true">${signs[kind]}</span>
            <span class="tab-name">${name}</span>
            ${
              unreadCount > 0 &&
              html`<span class="badge"><span>${unreadCount}</span><span class="sr-only"> unread</span></span>`
            }
          </button>
        `,
      )}
    </div>
  `;
}

export function tabId(key) {
  return `tab-${key}`;
}

function nextIndex(key, index, count) {
  if (key === 'ArrowDown' || key === 'ArrowRight') return (index + 1) % count;
  if (key === 'ArrowUp' || key === 'ArrowLeft') return (index - 1 + count) % count;
  if (key === 'Home') return 0;
  return key === 'End' ? count - 1 : undefined;
}
