/**
 * Where one writes: Enter sends, Shift and Enter begins a new line, the arrow up edits what was written last.
 * A draft stays with its conversation.
 */
import { html } from '../html.js';
import { useEffect, useRef, useState } from '../vendor/preact-hooks.js';

const inputId = 'message-text';

export function focusComposer() {
  document.getElementById(inputId)?.focus();
}

export function Composer({
  chat,
  state: { me, phase },
  conversation: { key, name, membership },
  onEditLast,
}) {
  const [text, setText] = useState(chat.drafts.get(key) ?? '');
  const [problem, setProblem] = useState(undefined);
  const input = useRef(null);
  const isClosed = me === undefined || phase.name === 'closed' || membership === 'refused';
  useEffect(() => {
    // Not while somebody walks through the tabs.
    if (!isClosed && document.activeElement?.role !== 'tab') input.current.focus();
  }, [isClosed]);

  const write = (next) => {
    setText(next);
    setProblem(undefined);
    chat.wrote(key, next);
  };
  const send = (event) => {
    event.preventDefault();
    if (text.trim() === '' || isClosed) return;
    const wrong = chat.post(key, text.trim());
    if (wrong === undefined) write('');
    else setProblem(wrong);
    input.current.focus();
  };
  const onKeyDown = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
    if (event.key === 'ArrowUp' && text === '') {
      event.preventDefault();
      onEditLast();
    }
  };

  return html`
    <form class="composer" onSubmit=${send}>
      <label class="sr-only" for=${inputId}>Message to ${name}</label>
      <textarea
        id=${inputId}
        rows="1"
        ref=${input}
        value=${text}
        placeholder=${`Message to ${name}`}
        onInput=${(event) => write(event.currentTarget.value)}
        onKeyDown=${onKeyDown}
        disabled=${isClosed}
        aria-invalid=${problem !== undefined}
        aria-describedby="message-problem"
      ></textarea>
      <button class="primary" disabled=${isClosed}>Send</button>
      <p id="message-problem" class="problem" role="alert">${problem}</p>
    </form>
  `;
}
