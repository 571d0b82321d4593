/** Where one looks for messages. What is found is shown by search-results.js. */
import { html } from '../html.js';
import { useEffect, useState } from '../vendor/preact-hooks.js';
import { Icon } from './icons.js';

/** The server takes no more (protocol section 3). */
const queryCharsMax = 512;

export function SearchBox({ chat, search }) {
  const [text, setText] = useState('');
  // Closed elsewhere: what was looked for is done with.
  useEffect(() => {
    if (search === undefined) setText('');
  }, [search === undefined]);
  const submit = (event) => {
    event.preventDefault();
    if (text.trim() !== '') chat.search(text.trim());
  };
  const onKeyDown = (event) => {
    if (event.key === 'Escape') chat.closeSearch();
  };
  return html`
    <form class="search" role="search" onSubmit=${submit}>
      <label class="sr-only" for="search-text">Search messages</label>
      <${Icon} name="lens" />
      <input
        id="search-text"
        type="search"
        enterkeyhint="search"
        autocomplete="off"
        maxlength=${queryCharsMax}
        placeholder="Search messages"
        value=${text}
        onInput=${(event) => setText(event.currentTarget.value)}
        onKeyDown=${onKeyDown}
      />
    </form>
  `;
}
