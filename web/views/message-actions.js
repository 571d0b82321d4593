/** What one does with an own message: edit it in its place, or delete it after a question. */
import { html } from '../html.js';
import { useLayoutEffect, useRef, useState } from '../vendor/preact-hooks.js';
import { Icon } from './icons.js';

/** Of a message, in the names of its buttons. */
const excerptChars = 40;

/** `onAct` is called with 'edit' or 'delete'. */
export function MessageActions({ text, onAct }) {
  const excerpt = text.length > excerptChars ? `${text.slice(0, excerptChars)}…` : text;
  return html`
    <span class="actions">
      <button class="action" title="Edit" onClick=${() => onAct('edit')}>
        <${Icon} name="pencil" /><span class="sr-only">Edit: ${excerpt}</span>
      </button>
      <button class="action" title="Delete" onClick=${() => onAct('delete')}>
        <${Icon} name="bin" /><span class="sr-only">Delete: ${excerpt}</span>
      </button>
    </span>
  `;
}

/** Enter saves, Escape leaves it as it was. */
export function MessageEditor({ text: before, onSave, onClose }) {
  const [text, setText] = useState(before);
  const input = useRef(null);
  useLayoutEffect(() => {
    input.current.focus();
    input.current.setSelectionRange(before.length, before.length);
    input.current.form.scrollIntoView({ block: 'nearest' });
  }, []);
  const save = (event) => {
    event.preventDefault();
    const next = text.trim();
    if (next === '') return;
    if (next !== before) onSave(next);
    onClose();
  };
  const onKeyDown = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) save(event);
    if (event.key === 'Escape') onClose();
  };
  return html`
    <form class="editor" onSubmit=${save} onKeyDown=${onKeyDown}>
      <textarea
        ref=${input}
        rows="1"
        aria-label="Edit message"
        value=${text}
        onInput=${(event) => setText(event.currentTarget.value)}
      ></textarea>
      <button type="button" class="small" onClick=${onClose}>Cancel</button>
      <button class="small primary" disabled=${text.trim() === ''}>Save</button>
    </form>
  `;
}

export function DeleteQuestion({ onDelete, onClose }) {
  const button = useRef(null);
  useLayoutEffect(() => {
    button.current.focus();
    button.current.parentElement.scrollIntoView({ block: 'nearest' });
  }, []);
  const onKeyDown = (event) => {
    if (event.key === 'Escape') onClose();
  };
  const confirm = () => {
    onDelete();
    onClose();
  };
  return html`
    <p class="delivery" role="group" aria-label="Delete this message?" onKeyDown=${onKeyDown}>
      Delete this message?${' '}
      <button class="small danger" ref=${button} onClick=${confirm}>Delete</button>${' '}
      <button class="small" onClick=${onClose}>Keep</button>
    </p>
  `;
}
