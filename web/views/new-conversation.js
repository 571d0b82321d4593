/** Two small forms: join a topic, message a person. On a phone they unfold. */
import { html } from '../html.js';
import { topicProblem, userProblem } from '../names.js';
import { useState } from '../vendor/preact-hooks.js';

export function NewConversation({ chat }) {
  const [isUnfolded, setIsUnfolded] = useState(false);
  const done = (open) => (name) => {
    setIsUnfolded(false);
    open(name);
  };
  return html`
    <div class="new">
      <button
        class="unfold"
        aria-expanded=${isUnfolded}
        aria-controls="new-forms"
        onClick=${() => setIsUnfolded(!isUnfolded)}
      >
        <span aria-hidden="true">+</span> New<span class="sr-only"> conversation</span>
      </button>
      <div id="new-forms" class="new-forms ${isUnfolded ? 'is-unfolded' : ''}">
        <${NameForm}
          id="new-topic"
          label="Join a topic"
          example="chat:music"
          action="Join"
          problemOf=${topicProblem}
          onName=${done((topic) => chat.join(topic))}
        />
        <${NameForm}
          id="new-user"
          label="Message a person"
          example="their name"
          action="Open"
          problemOf=${userProblem}
          onName=${done((user) => chat.talkTo(user))}
        />
      </div>
    </div>
  `;
}

function NameForm({ id, label, example, action, problemOf, onName }) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState(undefined);
  const submit = (event) => {
    event.preventDefault();
    const name = text.trim();
    const wrong = problemOf(name);
    setProblem(wrong);
    if (wrong !== undefined) return;
    setText('');
    onName(name);
  };
  return html`
    <form onSubmit=${submit} noValidate>
      <label for=${id}>${label}</label>
      <div class="field-row">
        <input
          id=${id}
          value=${text}
          placeholder=${example}
          onInput=${(event) => setText(event.currentTarget.value)}
          autocomplete="off"
          autocapitalize="none"
          spellcheck=${false}
          aria-invalid=${problem !== undefined}
          aria-describedby=${`${id}-problem`}
        />
        <button>${action}</button>
      </div>
      <p id=${`${id}-problem`} class="problem" role="alert">${problem}</p>
    </form>
  `;
}
