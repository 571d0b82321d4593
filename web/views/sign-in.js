/** The start: a name, or a token where the server signs none for names. */
import { credentialsOfName, credentialsOfToken } from '../credentials.js';
import { html } from '../html.js';
import { tokenProblem, userProblem } from '../names.js';
import { useEffect, useRef, useState } from '../vendor/preact-hooks.js';
import { TryThis } from './try-this.js';

const kinds = {
  name: {
    label: 'Your name',
    hint: 'Any name will do: this is a demonstration, nobody asks for a password.',
    other: 'I have a token',
    otherKind: 'token',
    problemOf: userProblem,
    credentialsOf: credentialsOfName,
  },
  token: {
    label: 'Your token',
    hint: 'A JWT that this server accepts. It stays in the memory of this page.',
    other: 'Sign in with a name',
    otherKind: 'name',
    problemOf: tokenProblem,
    credentialsOf: credentialsOfToken,
  },
};

export function SignIn({ chat, problem: lastProblem }) {
  const [kind, setKind] = useState('name');
  const [text, setText] = useState('');
  const [problem, setProblem] = useState(lastProblem);
  const [isBusy, setIsBusy] = useState(false);
  const input = useRef(null);
  const { label, hint, other, otherKind, problemOf, credentialsOf } = kinds[kind];
  useEffect(() => input.current.focus(), [kind]);
  useEffect(() => setProblem(lastProblem), [lastProblem]);

  const switchTo = (nextKind, why) => {
    setKind(nextKind);
    setText('');
    setProblem(why);
  };

  const submit = async (event) => {
    event.preventDefault();
    const typed = text.trim();
    const wrong = problemOf(typed);
    setProblem(wrong);
    if (wrong !== undefined) return input.current.focus();
    setIsBusy(true);
    try {
      await chat.signIn(credentialsOf(typed), kind === 'name' ? { name: typed } : {});
    } catch (error) {
      if (error.isUnsupported) switchTo('token', error.message);
      else setProblem(error.message);
      setIsBusy(false);
    }
  };

  return html`
    <main class="start">
      <section class="card start-card">
        <h1 class="start-title"><img src="/favicon.svg" alt="" width="44" height="44" /> Carillon</h1>
        <p class="quiet">A realtime server that uses every core. This chat shows it at work.</p>
        <form onSubmit=${submit} noValidate>
          <label for="credential">${label}</label>
          <div class="field-row">
            <input
              id="credential"
              ref=${input}
              value=${text}
              onInput=${(event) => setText(event.currentTarget.value)}
              autocomplete=${kind === 'name' ? 'username' : 'off'}
              autocapitalize="none"
              spellcheck=${false}
              aria-invalid=${problem !== undefined}
              aria-describedby="credential-problem credential-hint"
            />
            <button class="primary" disabled=${isBusy}>Sign in</button>
          </div>
          <p id="credential-problem" class="problem" role="alert">${problem}</p>
          <p id="credential-hint" class="quiet small">${hint}</p>
        </form>
        <button class="link" onClick=${() => switchTo(otherKind)}>${other}</button>
      </section>
      <${TryThis} />
    </main>
  `;
}
