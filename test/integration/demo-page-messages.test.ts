/** What one does with messages in the demo page: edit, delete, read, find; in a real browser. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  close,
  Demo,
  isSent,
  isSentAfterAll,
  join,
  Line,
  listenTo,
  messages,
  numbers,
  phone,
  picture,
  say,
  sayAll,
  shows,
  status,
  tab,
  talkTo,
  textsOf,
  write,
} from '../kit/demo-page.ts';
import { eventually } from '../kit/eventually.ts';

let demo: Demo;

before(async () => {
  demo = await Demo.start();
});
after(() => demo?.stop());

test('own messages are edited and deleted, and everybody sees it', async () => {
  const topic = 'edits:topic';
  const [ann, ben] = await Promise.all([demo.signIn('ann6'), demo.signIn('ben6', phone)]);
  await join(ann, topic);
  await ben.getByRole('button', { name: 'New' }).click();
  await join(ben, topic);
  for (const text of ['frist thing', 'a slip', 'to be kept']) {
    await write(ann, text);
    await isSent(ann, text);
  }
  await messages(ben, 'to be kept').waitFor();
  assert.equal(await messages(ben, 'to be kept').getByRole('button', { name: 'Edit' }).count(), 0);

  await ann.getByRole('button', { name: 'Edit: frist thing' }).focus();
  await ann.keyboard.press('Enter');
  await ann.getByRole('textbox', { name: 'Edit message' }).fill('first thing');
  await picture(ann, 'editing');
  await ann.keyboard.press('Enter');
  for (const page of [ann, ben]) await messages(page, 'first thing').getByText('edited').waitFor();
  await eventually('the focus is where one writes on', () =>
    ann.getByRole('textbox', { name: 'Message to' }).evaluate((it) => it.matches(':focus')),
  );

  await messages(ann, 'a slip').hover();
  await ann.getByRole('button', { name: 'Delete: a slip' }).click();
  await picture(ann, 'deleting');
  await ann.getByRole('button', { name: 'Keep' }).click();
  await ann.getByRole('button', { name: 'Delete: a slip' }).click();
  await ann.getByRole('button', { name: 'Delete', exact: true }).click();
  for (const page of [ann, ben]) await messages(page, /deleted/).waitFor();
  assert.equal(await messages(ben, 'a slip').count(), 0);

  // The arrow up edits what was written last; Escape leaves it.
  await ann.getByRole('textbox', { name: 'Message to' }).press('ArrowUp');
  assert.equal(await ann.getByRole('textbox', { name: 'Edit message' }).inputValue(), 'to be kept');
  await ann.keyboard.press('Escape');
  await ann.getByRole('textbox', { name: 'Edit message' }).waitFor({ state: 'detached' });

  // And so it is stored.
  await ann.reload();
  await tab(ann, topic).click();
  await messages(ann, 'to be kept').waitFor();
  await shows(ann, ['first thing', 'deleted', 'to be kept']);
  await messages(ann, 'first thing').getByText('edited').waitFor();
  await picture(ben, 'edited-phone');
  await close(ann, ben);
});

test('a direct message is edited, and a deletion that was missed is seen after the absence', async () => {
  const line = new Line();
  const [ann, ben] = await Promise.all([demo.signIn('ann7'), demo.signIn('ben7', {}, line.prepare)]);
  await talkTo(ann, 'ben7');
  for (const text of ['one', 'two', 'three']) {
    await write(ann, text);
    await isSent(ann, text);
  }
  await tab(ben, 'ann7').click();
  await messages(ben, 'three').waitFor();
  await line.cut(ben);
  await ann.getByRole('button', { name: 'Edit: one' }).click();
  await ann.getByRole('textbox', { name: 'Edit message' }).fill('one and a half');
  await ann.getByRole('button', { name: 'Save' }).click();
  await messages(ann, 'one and a half').getByText('edited').waitFor();
  await ann.getByRole('button', { name: 'Delete: two' }).click();
  await ann.getByRole('button', { name: 'Delete', exact: true }).click();
  await messages(ann, 'deleted').waitFor();
  line.restore();
  await messages(ben, 'deleted').waitFor();
  await shows(ben, ['one and a half', 'deleted', 'three']);
  await close(ann, ben);
});

test('the last message that the other side has read says so, and marks are sparse', async () => {
  const line = new Line();
  const [ann, ben] = await Promise.all([demo.signIn('ann8'), demo.signIn('ben8', {}, line.prepare)]);
  await talkTo(ann, 'ben8');
  await write(ann, 'have you seen this?');
  await tab(ben, 'ann8 1 unread').waitFor();
  await isSent(ann, 'have you seen this?');
  assert.equal(await messages(ann, 'have you seen this?').getByText('read', { exact: true }).count(), 0);
  await tab(ben, 'ann8').click();
  await messages(ann, 'have you seen this?').getByText('read', { exact: true }).waitFor();

  const marks = () =>
    line.sent.filter(({ type, data }) => type === 'Read' && data['topic'] === 'inbox:ben8').length;
  const [before, startedMs] = [marks(), performance.now()];
  for (let count = 1; count <= 12; count++) await write(ann, `and this? ${count}`);
  await messages(ann, 'and this? 12').getByText('read', { exact: true }).waitFor();
  const seconds = (performance.now() - startedMs) / 1000;
  assert.ok(marks() - before <= Math.ceil(seconds) + 1, `${marks() - before} marks in ${seconds} s`);
  assert.equal(await ann.getByText('read', { exact: true }).count(), 1);
  await picture(ann, 'read');

  // It is known after a reload, too.
  await ann.reload();
  await tab(ann, 'ben8').click();
  await messages(ann, 'and this? 12').getByText('read', { exact: true }).waitFor();

  // What waits in one conversation is not read because another one was.
  const cid = await demo.robot('cid8');
  await say(cid, 'DirectMessage', { to: 'ben8', payload: { text: 'psst' } });
  await tab(ben, 'cid8 1 unread').waitFor();
  await write(ann, 'last one');
  await messages(ben, 'last one').waitFor();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(cid.ofType('Receipt').length, 0);
  await tab(ben, 'cid8').click();
  await cid.waitFor(({ type, data }) => type === 'Receipt' && data.kind === 'read');
  await messages(ann, 'last one').getByText('read', { exact: true }).waitFor();
  await cid.close();
  await close(ann, ben);
});

test('in a topic one sees how many have read', async () => {
  const topic = 'readers:topic';
  const pages = await Promise.all(['ann9', 'ben9', 'cid9'].map((name) => demo.signIn(name)));
  const [ann, ben, cid] = pages as [(typeof pages)[0], (typeof pages)[0], (typeof pages)[0]];
  for (const page of pages) await join(page, topic);
  await tab(cid, 'chat:lobby').click();
  await write(ann, 'who reads this?');
  await messages(ann, 'who reads this?').getByText('read by 1').waitFor();
  await tab(cid, `${topic} 1 unread`).click();
  await messages(ann, 'who reads this?').getByText('read by 2').waitFor();
  await write(ben, 'I do');
  await messages(ben, 'I do').getByText('read by 2').waitFor();
  await close(ann, ben, cid);
});

test('a search finds messages, and leads to them', async () => {
  const topic = 'search:topic';
  const writer = await demo.robot('writer10');
  await sayAll(writer, topic, ['the needle is here', ...numbers(130)]);
  await say(writer, 'DirectMessage', { to: 'ann10', payload: { text: 'a needle <b>for</b> you' } });
  const ann = await demo.signIn('ann10');
  const box = ann.getByRole('searchbox', { name: 'Search messages' });
  await box.fill('needle');
  await box.press('Enter');
  const results = ann.getByRole('region', { name: 'Search results' });
  await results.getByText('2 messages').waitFor();
  await results.getByRole('button', { name: '@writer10' }).getByText('needle', { exact: true }).waitFor();
  assert.equal(await results.locator('b').count(), 0);
  await picture(ann, 'search');

  // To a topic that was not joined, far back.
  await results.getByRole('button', { name: topic }).click();
  await ann.getByRole('heading', { name: topic }).waitFor();
  await messages(ann, 'the needle is here').waitFor();
  await eventually('it is in the picture', async () =>
    messages(ann, 'the needle is here').evaluate((element) => {
      const { top, bottom } = element.getBoundingClientRect();
      return top > 0 && bottom < 800;
    }),
  );
  assert.equal((await textsOf(ann)).length, 131);
  await picture(ann, 'found');

  await box.fill('needle');
  await box.press('Enter');
  await results.getByRole('button', { name: '@writer10' }).click();
  await messages(ann, 'a needle').waitFor();
  await box.fill('"open');
  await box.press('Enter');
  await results.getByRole('alert').filter({ hasText: 'a phrase is not closed' }).waitFor();
  await box.fill('haystack');
  await box.press('Enter');
  await results.getByText('nothing found').waitFor();
  await ann.keyboard.press('Escape');
  await results.waitFor({ state: 'detached' });
  await writer.close();
  await close(ann);
});

test('while the store is away a quiet line says so, and no longer', async () => {
  const ann = await demo.signIn('ann11');
  const banner = ann.getByRole('status', { name: 'Store' });
  const said = await listenTo(banner);
  demo.server.failpoint(0xffff, 'store.exit');
  await eventually('it was said, and taken back', async () => {
    const words = await said();
    return words.some((text) => text.includes('store is away')) && words.at(-1) === '';
  });
  assert.equal(await banner.isVisible(), false);
  assert.match((await status(ann).textContent()) ?? '', /Connected as ann11/);
  await write(ann, 'stored again');
  await isSentAfterAll(ann, 'stored again');
  await close(ann);
});

test('messages stand in the order of the log, once, whatever order they came in', async () => {
  const page = await demo.visit();
  const shown = await page.evaluate(async () => {
    const { withAccepted, withMessage, withPage } = await import(`${'/entries.js'}`);
    const message = (offset: number, fields = {}) => ({
      id: `m${offset}`,
      messageId: `m${offset}`,
      offset,
      ...fields,
    });
    const own = { id: 'own', delivery: { state: 'sending' } };
    const steps = [
      // The one of somebody else came while the own one was on its way, and was there before it: or was not.
      withAccepted([message(3), own, message(4)], 'own', { messageId: 'm5', offset: 5 }),
      withAccepted([message(3), own, message(5)], 'own', { messageId: 'm4', offset: 4 }),
      // It came as a publication first, when its sending had been given up.
      withAccepted([own, message(3), message(4)], 'own', { messageId: 'm3', offset: 3 }),
      withPage([own, message(3), { id: 'note' }], [message(1), message(2), message(3)]),
      withMessage([message(1), { id: 'note' }], message(2)),
      withMessage([message(1), message(3)], message(2)),
      withMessage([message(1)], message(1)),
      withPage([message(1, { isDeleted: true })], [message(1, { text: 'stale' })]),
    ];
    return steps.map((entries) => entries.map(({ id }: { id: string }) => id).join(' '));
  });
  assert.deepEqual(shown, [
    ...['m3 m4 own', 'm3 own m5', 'own m4', 'm1 m2 own m3 note', 'm1 note m2', 'm1 m2 m3', 'm1', 'm1'],
  ]);
  await close(page);
});

test('in all of this no page broke its content policy, logged an error or threw', () => {
  assert.deepEqual(demo.complaints, []);
});
