/**
 * The messages of a conversation, newest at the bottom; stays there unless somebody scrolled up to read. What is older is
 * loaded at the top, and what is being read keeps its place.
 */
import { firstOffsetOf, lastRead } from '../entries.js';
import { html } from '../html.js';
import { isStored } from '../state.js';
import { useLayoutEffect, useRef, useState } from '../vendor/preact-hooks.js';
import { LogStart } from './log-start.js';
import { Message } from './message.js';
import { dayOf, isSameDay, timeOf } from './times.js';

/** This close to an end of the log counts as there, pixels. */
const nearPx = 60;

export function MessageLog({ chat, me, conversation, acting, onAct }) {
  const { key, name, history, unreadCount } = conversation;
  const { box, isAway, onScroll, toEnd, holdPlace } = useScroll(chat, conversation);
  const older = () => {
    holdPlace();
    chat.older(key);
  };
  return html`
    <div class="log-frame">
      <div
        class="log"
        role="log"
        aria-label=${`Messages in ${name}`}
        aria-busy=${history === 'loading'}
        tabindex="0"
        ref=${box}
        onScroll=${(event) => {
          onScroll(event);
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          if (scrollTop < nearPx && scrollHeight > clientHeight + nearPx && history === 'more') older();
        }}
      >
        <${LogStart} conversation=${conversation} onOlder=${older} />
        <ol>
          ${itemsOf({ chat, me, conversation, acting, onAct })}
        </ol>
      </div>
      ${
        isAway &&
        html`<button class="small newest" onClick=${toEnd}>
          ${unreadCount > 0 ? `${unreadCount} new` : 'Newest'} <span aria-hidden="true">↓</span>
        </button>`
      }
    </div>
  `;
}

function itemsOf({ chat, me, conversation, acting, onAct }) {
  const { entries, kind, reads, target } = conversation;
  const read = lastRead(entries, me, reads);
  return entries.flatMap((entry, index) => {
    const before = entries[index - 1];
    const isNewDay =
      before === undefined ? !isSameDay(entry.atMs, Date.now()) : !isSameDay(entry.atMs, before.atMs);
    const day = isNewDay
      ? [html`<li key=${`day-${entry.id}`} class="note day">${dayOf(entry.atMs)}</li>`]
      : [];
    if (entry.note !== undefined)
      return [
        ...day,
        html`<li key=${entry.id} class="note"><time>${timeOf(entry.atMs)}</time> ${entry.note}</li>`,
      ];
    const isOwn = entry.from === me;
    const isRead = isOwn && read !== undefined && entry.offset <= read.offset;
    return [
      ...day,
      html`<${Message}
        key=${entry.id}
        chat=${chat}
        message=${isRead ? { ...entry, delivery: undefined } : entry}
        isOwn=${isOwn}
        isFollowUp=${!isNewDay && isFollowUp(entry, before, isOwn)}
        isFound=${target !== undefined && target.messageId === entry.messageId}
        mayChange=${isOwn && entry.offset !== undefined && !entry.isDeleted && isStored(conversation)}
        act=${acting?.id === entry.id ? acting.act : undefined}
        onAct=${(act) => onAct(act === undefined ? undefined : { id: entry.id, act })}
        receipt=${isRead && entry.offset === read.offset ? receiptOf(kind, read.readers) : undefined}
      />`,
    ];
  });
}

function receiptOf(kind, readers) {
  if (kind === 'user') return { text: 'read' };
  return { text: `read by ${readers.length}`, title: readers.join(', ') };
}

/** Where the log is scrolled to, and that the chat knows whether its end is on the screen. */
function useScroll(chat, conversation) {
  const { key, entries, target } = conversation;
  const box = useRef(null);
  const isAtEnd = useRef(true);
  const drawn = useRef({ height: 0, top: 0 });
  const [isAway, setIsAway] = useState(false);
  const last = entries.at(-1);
  const firstOffset = firstOffsetOf(entries);
  const setAtEnd = (isThere) => {
    isAtEnd.current = isThere;
    setIsAway(!isThere);
  };
  const isNearEnd = () => {
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    return scrollHeight - scrollTop - clientHeight < nearPx;
  };
  const measure = () => {
    drawn.current.top = box.current.scrollTop;
    setAtEnd(isNearEnd());
  };
  const toEnd = () => {
    box.current.scrollTop = box.current.scrollHeight;
    setAtEnd(true);
  };

  useLayoutEffect(() => {
    const log = box.current;
    const isPosted = last?.delivery !== undefined && last.id !== drawn.current.lastId;
    // A scroll is told a frame later than it is done: something new may be drawn in between.
    if (log.scrollTop < drawn.current.top && !isNearEnd()) setAtEnd(false);
    if (isAtEnd.current || isPosted) toEnd();
    else if (firstOffset !== drawn.current.firstOffset)
      log.scrollTop += log.scrollHeight - drawn.current.height;
    drawn.current = { firstOffset, lastId: last?.id, height: log.scrollHeight, top: log.scrollTop };
  }, [conversation]);
  useLayoutEffect(() => {
    if (target === undefined) return;
    box.current.querySelector(`[data-message="${target.messageId}"]`)?.scrollIntoView({ block: 'center' });
    measure();
  }, [target]);
  useLayoutEffect(() => chat.watch(key, isAtEnd.current));
  useLayoutEffect(() => () => chat.watch(key, false), []);
  useLayoutEffect(() => {
    // A banner, a keyboard or a longer draft take room from below.
    const observer = new ResizeObserver(() => {
      if (isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    measure();
    chat.watch(key, isAtEnd.current);
  };
  const holdPlace = () => {
    isAtEnd.current = false;
    drawn.current.height = box.current.scrollHeight;
  };
  return { box, isAway, onScroll, toEnd, holdPlace };
}

/** The shard is told with the name, which own messages do not repeat anyway. */
function isFollowUp(entry, before, isOwn) {
  return entry.from === before?.from && (isOwn || entry.shard === before.shard) && !before.isDeleted;
}
