/** The header: connection state in words, the server's shards with one's own marked, and the search. */
import { html } from '../html.js';
import { useEffect, useState } from '../vendor/preact-hooks.js';
import { closeWords } from '../wording.js';
import { SearchBox } from './search-box.js';

/** More shards than this are not drawn one by one. */
const shardsDrawnMax = 32;
const countdownMs = 250;

export function Header({ chat, state }) {
  const { phase, me } = state;
  return html`
    <header class="header">
      <h1 class="brand"><img src="/favicon.svg" alt="" width="28" height="28" /> <span>Carillon</span></h1>
      <div class="state state-${phase.name}">
        <span class="dot" aria-hidden="true"></span>
        <p role="status" aria-label="Connection"><${PhaseText} phase=${phase} me=${me} /></p>
        ${phase.name === 'waiting' && html`<button class="small" onClick=${() => chat.retryNow()}>Now</button>`}
        ${
          phase.name === 'closed' &&
          html`<button class="small primary" onClick=${() => chat.signOut(sentence(closeWords(phase)))}>
            Sign in again
          </button>`
        }
      </div>
      <${Shards} state=${state} />
      <${SearchBox} chat=${chat} search=${state.search} />
      <button class="small sign-out" onClick=${() => chat.signOut()}>Sign out</button>
    </header>
  `;
}

function PhaseText({ phase, me }) {
  switch (phase.name) {
    case 'connected':
      return html`Connected as <strong>${phase.userId}</strong> on shard <strong>${phase.shard}</strong>`;
    case 'waiting':
      // The seconds are hidden from screen readers, which would read out every one of them.
      return html`Reconnecting <span aria-hidden="true"><${Countdown} untilMs=${phase.retryAtMs} /></span>`;
    case 'closed':
      return html`Closed: ${closeWords(phase)}`;
    default:
      return me === undefined ? 'Connecting…' : 'Reconnecting…';
  }
}

function Countdown({ untilMs }) {
  const [nowMs, setNowMs] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), countdownMs);
    return () => clearInterval(timer);
  }, []);
  return `in ${Math.max(0, Math.ceil((untilMs - nowMs) / 1000))} s`;
}

function Shards({ state: { phase, shardCount, peerShards } }) {
  if (shardCount === 0 || shardCount > shardsDrawnMax) return null;
  const shards = Array.from({ length: shardCount }, (_, shard) => ({
    shard,
    isMine: phase.name === 'connected' && phase.shard === shard,
    isPeer: peerShards.includes(shard),
  }));
  return html`
    <ul class="shards" aria-label="Shards of this server">
      <li class="shards-label quiet small" aria-hidden="true">Shards</li>
      ${shards.map(
        ({ shard, isMine, isPeer }) => html`
          <li
            key=${shard}
            class="shard ${isMine ? 'shard-mine' : ''} ${isPeer ? 'shard-peer' : ''}"
            title=${`Shard ${shard}${wordsOf(isMine, isPeer)}`}
          >
            ${shard}<span class="sr-only">${wordsOf(isMine, isPeer)}</span>
          </li>
        `,
      )}
    </ul>
  `;
}

function wordsOf(isMine, isPeer) {
  if (isMine) return isPeer ? ': you and others' : ': you';
  return isPeer ? ': others wrote from here' : '';
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
