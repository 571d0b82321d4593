/** The messages of a conversation, newest at the bottom; stays there unless somebody scrolled up to read. */
import { html } from '../html.js';
import { useLayoutEffect, useRef } from '../vendor/preact-hooks.js';
import { Message, timeOf } from './message.js';

/** This close to the bottom counts as at the bottom, pixels. */
const nearPx = 60;

export function MessageLog({ chat, me, name, entries, intro }) {
  const box = useRef(null);
  const isAtEnd = useRef(true);
  const last = entries.at(-1);
  useLayoutEffect(() => {
    if (isAtEnd.current || last?.from === me) box.current.scrollTop = box.current.scrollHeight;
  }, [last?.id, last?.delivery]);
  const onScroll = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < nearPx;
  };
  return html`
    <div class="log" role="log" aria-label=${`Messages in ${name}`} tabindex="0" ref=${box} onScroll=${onScroll}>
      <p class="note">${intro}</p>
      <ol>
        ${entries.map((entry, index) =>
          entry.note === undefined
            ? html`<${Message}
                key=${entry.id}
                chat=${chat}
                message=${entry}
                isOwn=${entry.from === me}
                isFollowUp=${isFollowUp(entry, entries[index - 1])}
              />`
            : html`<li key=${entry.id} class="note"><time>${timeOf(entry.atMs)}</time> ${entry.note}</li>`,
        )}
      </ol>
    </div>
  `;
}

function isFollowUp(entry, before) {
  return entry.from === before?.from && entry.shard === before.shard;
}
