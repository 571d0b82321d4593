/** The demo page in a real browser: two people on two shards talk, and a lost shard does not end it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { closeCodes } from '#proto/close-codes.ts';
import {
  close,
  Demo,
  isSent,
  isSentAfterAll,
  isSentOnce,
  isThere,
  listenTo,
  messages,
  phone,
  picture,
  shardOf,
  status,
  tab,
  write,
} from '../kit/demo-page.ts';
import { eventually } from '../kit/eventually.ts';
import { tokenOf } from '../kit/test-server.ts';

let demo: Demo;

before(async () => {
  demo = await Demo.start();
});
after(() => demo?.stop());

async function elsewhere(name: string, other: Page): Promise<Page> {
  const shard = await shardOf(other);
  return demo.signInWhere(name, (own) => own !== shard);
}

test('two people on different shards read each other, and see who wrote', async () => {
  const ann = await demo.signIn('ann');
  const ben = await elsewhere('ben', ann);

  await write(ann, 'Hello from my window!');
  await messages(ben, 'Hello from my window!').getByRole('button', { name: 'ann' }).waitFor();
  await messages(ben, 'Hello from my window!')
    .getByText(`shard ${await shardOf(ann)}`)
    .waitFor();
  await isSent(ann, 'Hello from my window!');

  await write(ben, 'Hi ann. I am on another core.');
  await messages(ann, 'I am on another core.').getByRole('button', { name: 'ben' }).waitFor();
  await write(ann, 'And still it came at once.');
  await messages(ben, 'And still it came at once.').waitFor();

  // One's own message comes back as a publication, and is shown once all the same.
  await isSentOnce(ann, 'And still it came at once.');
  assert.match((await messages(ann, 'Hello').textContent()) ?? '', /ann \(you\)/);
  await picture(ann, 'carillon-demo');
  await close(ann, ben);
});

test('a direct message opens a tab with a badge', async () => {
  const [ann, ben] = await Promise.all([demo.signIn('ann'), demo.signIn('ben')]);
  await write(ben, 'Who is here?');
  await messages(ann, 'Who is here?').getByRole('button', { name: 'ben' }).click();
  await write(ann, 'Just you and me.');
  await isSent(ann, 'Just you and me.');

  await tab(ben, 'ann 1 unread').waitFor();
  assert.equal(await tab(ben, 'chat:lobby').getAttribute('aria-selected'), 'true');
  await eventually('the title says it', async () => (await ben.title()) === '(1) Carillon');
  await picture(ben, 'carillon-demo-badge');
  await tab(ben, 'ann').click();
  await messages(ben, 'Just you and me.').waitFor();
  await tab(ben, 'unread').waitFor({ state: 'detached' });
  await write(ben, 'That is enough.');
  await messages(ann, 'That is enough.').waitFor();
  assert.equal(await tab(ann, 'unread').count(), 0);
  await close(ann, ben);
});

test('topics are joined as tabs, walked with the arrow keys, and left', async () => {
  const ann = await demo.signIn('ann');
  await ann.getByLabel('Join a topic').fill('chat:music');
  await ann.getByRole('button', { name: 'Join', exact: true }).click();
  await ann.getByRole('heading', { name: 'chat:music' }).waitFor();
  await ann.getByText('joined', { exact: true }).waitFor();
  await tab(ann, 'chat:music').press('ArrowUp');
  await ann.getByRole('heading', { name: 'chat:lobby' }).waitFor();
  await ann.keyboard.press('ArrowDown');
  await ann.getByRole('heading', { name: 'chat:music' }).waitFor();

  // A reload signs in again and joins the same topics.
  await ann.reload();
  await status(ann).filter({ hasText: 'Connected as ann' }).waitFor();
  await tab(ann, 'chat:music').click();
  await ann.getByText('joined', { exact: true }).waitFor();
  await ann.getByRole('button', { name: 'Leave chat:music' }).click();
  await tab(ann, 'chat:music').waitFor({ state: 'detached' });
  await close(ann);
});

test('text that looks like markup is shown as text', async () => {
  const hostile = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`;
  const [ann, ben] = await Promise.all([demo.signIn('ann'), demo.signIn('ben')]);
  await write(ann, hostile);
  await messages(ben, hostile).waitFor();
  assert.equal(await messages(ben, hostile).locator('img, script').count(), 0);
  await write(ben, 'nothing happened');
  await messages(ann, 'nothing happened').waitFor();
  assert.equal(await ben.title(), 'Carillon');
  await close(ann, ben);
});

test('refusals are shown in words, where they happened', async () => {
  const ann = await demo.visit();
  await ann.getByLabel('Your name').fill('no spaces, please');
  await ann.getByRole('button', { name: 'Sign in', exact: true }).click();
  await ann.getByRole('alert').filter({ hasText: 'A name has 1 to 64 characters' }).waitFor();
  await ann.getByLabel('Your name').fill('ann');
  await ann.getByLabel('Your name').press('Enter');
  await isThere(ann, 'ann');

  await ann.getByLabel('Join a topic').fill('admin:secrets');
  await ann.getByLabel('Join a topic').press('Enter');
  await ann
    .getByRole('alert')
    .filter({ hasText: 'Not allowed: the token lacks subscribe:admin:secrets.' })
    .waitFor();
  await tab(ann, 'chat:lobby').click();
  await write(ann, 'x'.repeat(70_000));
  await ann.getByRole('alert').filter({ hasText: 'too long' }).waitFor();
  await close(ann);
});

test('a server that signs no tokens takes a pasted one; a bad one is refused with the reason', async () => {
  const ann = await demo.visit();
  await ann.route('**/demo/token', (route) => route.fulfill({ status: 404, json: {} }));
  await ann.getByLabel('Your name').fill('ann');
  await ann.getByLabel('Your name').press('Enter');
  const field = ann.getByLabel('Your token');
  await ann.getByRole('alert').filter({ hasText: 'signs no tokens' }).waitFor();
  await field.fill(tokenOf('ann', {}, 3_600_000, 'another secret, which is not the one of this server'));
  await field.press('Enter');
  await ann.getByRole('alert').filter({ hasText: 'the token was not accepted' }).waitFor();
  await ann.getByRole('button', { name: 'I have a token' }).click();
  await field.fill(tokenOf('ann'));
  await field.press('Enter');
  await isThere(ann, 'ann');
  assert.equal(new URL(ann.url()).search, '');
  await ann.getByRole('button', { name: 'Sign out' }).click();

  // Nobody can renew a pasted token: when it expires, the page asks for another one.
  await ann.getByRole('button', { name: 'I have a token' }).click();
  await field.fill(tokenOf('ann', {}, 9_000));
  await field.press('Enter');
  await status(ann).filter({ hasText: 'Closed: Your token has expired' }).waitFor();
  await ann.getByRole('button', { name: 'Sign in again' }).click();
  await ann.getByRole('alert').filter({ hasText: 'Your token has expired' }).waitFor();
  await close(ann);
  // The browser itself reports the 404 that the page handles.
  const index = demo.complaints.findIndex((text) => text.includes('404'));
  if (index >= 0) demo.complaints.splice(index, 1);
});

test('a lost shard is survived: the page says so, comes back and goes on', async () => {
  const ann = await demo.signIn('ann');
  const ben = await elsewhere('ben', ann);
  await write(ann, 'before the fall');
  await messages(ben, 'before the fall').waitFor();

  const said = await listenTo(status(ann));
  demo.server.failpoint(await shardOf(ann), 'shard.exit');
  await write(ann, 'into the fall');
  await messages(ann, 'Connection lost').waitFor();
  await messages(ann, 'Connected again').waitFor();
  await isThere(ann, 'ann');
  const words = await said();
  assert.ok(
    words.some((text) => text.startsWith('Reconnecting')),
    words.join(' | '),
  );
  await isThere(ben, 'ben');
  await isSentAfterAll(ann, 'into the fall');

  await messages(ben, 'into the fall').waitFor();
  for (const [writer, reader, text] of [
    [ann, ben, 'ann is back'],
    [ben, ann, 'ben is still here'],
  ] as const) {
    await write(writer, text);
    await isSentAfterAll(writer, text);
    await messages(reader, text).waitFor();
    assert.equal(await messages(reader, text).count(), 1);
  }
  await picture(ann, 'carillon-demo-restarted');
  await close(ann, ben);
  demo.forgive(/^WebSocket connection to .* failed|^Failed to load resource: net::/); // a try that met the end of the shard
});

test('a phone has room for it, light and dark', async () => {
  const ann = await demo.signIn('ann', { ...phone, colorScheme: 'dark' });
  const ben = await demo.signIn('ben', phone);
  await write(ben, 'Can you read this on your phone?');
  await messages(ann, 'on your phone').waitFor();
  await write(
    ann,
    'Yes, and a longer line wraps where it should, without anything sticking out at the side.',
  );
  await messages(ben, 'sticking out').waitFor();
  for (const page of [ann, ben]) {
    const [shown, needed] = await page.evaluate(() => {
      const { documentElement } = (
        globalThis as unknown as {
          document: { documentElement: { clientWidth: number; scrollWidth: number } };
        }
      ).document;
      return [documentElement.clientWidth, documentElement.scrollWidth];
    });
    assert.equal(needed, shown);
  }
  await picture(ann, 'carillon-demo-phone-dark');
  await picture(ben, 'carillon-demo-phone');
  await close(ann, ben);
});

test('the page knows every close code: whether to come back, and words for it', async () => {
  const page = await demo.visit();
  const said = await page.evaluate(
    async (codes) => {
      const { mayReconnect } = await import(`${'/reconnect.js'}`);
      const { closeWords } = await import(`${'/wording.js'}`);
      return codes.map((code) => ({ code, reconnect: mayReconnect(code), words: closeWords({ code }) }));
    },
    Object.values(closeCodes).map(({ code }) => code),
  );
  for (const { code, reconnect, words } of said) {
    const row = Object.values(closeCodes).find((candidate) => candidate.code === code);
    assert.equal(reconnect, row?.reconnect, `reconnect after ${code}`);
    assert.doesNotMatch(words, /closed with/);
  }
  await close(page);
});

test('in all of this no page broke its content policy, logged an error or threw', () => {
  assert.deepEqual(demo.complaints, []);
});
