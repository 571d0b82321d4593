/** Who is there and who is writing, in the demo page; and a lost connection after which the session goes on. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { HashRing } from '../../src/routing/hash-ring.ts';
import {
  close,
  Demo,
  isSent,
  isSentAfterAll,
  isThere,
  join,
  Line,
  listenTo,
  messages,
  numbers,
  phone,
  picture,
  say,
  sayAll,
  shardOf,
  shows,
  tab,
  talkTo,
  textsOf,
  write,
} from '../kit/demo-page.ts';
import { eventually } from '../kit/eventually.ts';

let demo: Demo;

before(async () => {
  demo = await Demo.start({ PRESENCE_GRACE: '300ms', AWAY_AFTER: '1h' });
});
after(() => demo?.stop());

const here = (page: Page, count: number) => page.getByText(`${count} here`, { exact: true });
const typists = (page: Page) => page.getByRole('status', { name: 'Typing' });
const input = (page: Page) => page.getByRole('textbox', { name: 'Message to' });

async function members(page: Page): Promise<string[]> {
  const items = await page.getByRole('list', { name: 'Who is here' }).getByRole('listitem').allTextContents();
  return items.map((text) => text.replaceAll(/\s+/g, ' ').trim());
}

async function listsMembers(page: Page, expected: string[]): Promise<void> {
  const isListed = async () => (await members(page)).join() === expected.join();
  await eventually('these members', isListed).catch(() => {}); // who is there instead is told by this:
  assert.deepEqual(await members(page), expected);
}

async function says(locator: Locator, text: string): Promise<void> {
  await eventually(`it says "${text}"`, async () => (await locator.textContent())?.trim() === text);
}

/** A conversation that was opened just now takes the focus, and with it what is typed elsewhere in that moment. */
async function isReady(page: Page): Promise<void> {
  await eventually('one can write', () => input(page).evaluate((it) => it.matches(':focus')));
}

/** Commands of a page, by type. */
const sentBy = (line: Line, type: string) => line.sent.filter((frame) => frame.type === type);

/** The session that it resumed went on, `count` times: nothing had to be subscribed anew. */
async function hasResumed(line: Line, count: number): Promise<void> {
  const resumed = () => line.received.filter(({ data }) => data['op'] === 'Resume');
  await eventually('the session goes on', () => resumed().length === count);
}

test('a topic tells how many are there and, when asked, who and how they are', async () => {
  const topic = 'here:topic';
  const ann = await demo.signIn('ann1');
  await join(ann, topic);
  await here(ann, 1).waitFor();
  const ben = await demo.signIn('ben1', phone);
  await ben.getByRole('button', { name: 'New' }).click();
  await join(ben, topic);
  for (const page of [ann, ben]) await here(page, 2).waitFor();
  await here(ann, 2).click();
  await listsMembers(ann, ['ann1 (you) online', 'ben1 online']);

  const robot = await demo.robot('robot1');
  await say(robot, 'Subscribe', { topic, presence: true });
  await here(ann, 3).waitFor();
  await say(robot, 'Presence', { status: 'busy' });
  await listsMembers(ann, ['ann1 (you) online', 'ben1 online', 'robot1 busy']);
  await say(robot, 'Presence', { status: 'away' });
  await listsMembers(ann, ['ann1 (you) online', 'ben1 online', 'robot1 away']);
  await here(ben, 3).click();
  await picture(ann, 'members');
  await picture(ben, 'members-phone');

  // They go: one says goodbye, the other one closes the page.
  robot.socket.close(1000);
  await listsMembers(ann, ['ann1 (you) online', 'ben1 online']);
  await close(ben);
  await here(ann, 1).waitFor();
  await listsMembers(ann, ['ann1 (you) online']);
  await ann.getByRole('button', { name: '1 here' }).press('Enter');
  await ann.getByRole('list', { name: 'Who is here' }).waitFor({ state: 'detached' });
  await close(ann);
});

test('a conversation tells how the other one is, and when they were seen last', async () => {
  const ann = await demo.signIn('ann2');
  await talkTo(ann, 'ben2');
  const head = ann.locator('.conversation-head');
  await head.getByText('offline').waitFor();
  const ben = await demo.signIn('ben2');
  await head.getByText('online').waitFor();
  await picture(ann, 'person');
  const robot = await demo.robot('ben2');
  await say(robot, 'Presence', { status: 'busy' });
  await head.getByText('busy').waitFor();
  robot.socket.close(1000);
  await close(ben);
  await head.getByText(/last seen .*\d:\d\d/).waitFor();
  await picture(ann, 'last-seen');

  // Nobody is followed whose conversation was put away.
  await ann.getByRole('button', { name: 'Close ben2' }).click();
  await tab(ann, 'ben2').waitFor({ state: 'detached' });
  await talkTo(ann, 'ben2');
  await head.getByText('last seen').waitFor();
  await close(ann);
});

test('one sees who is writing, in a topic and in a conversation, and not oneself', async () => {
  const line = new Line();
  const [ann, ben] = await Promise.all([demo.signIn('ann3', {}, line.prepare), demo.signIn('ben3')]);
  const own = await listenTo(typists(ann));
  const startedMs = performance.now();
  await input(ann).pressSequentially('He');
  await says(typists(ben), 'ann3 is typing…');
  await picture(ben, 'typing');
  await input(ann).pressSequentially('llo');
  await input(ann).press('Enter');
  await messages(ben, 'Hello').waitFor();
  await says(typists(ben), '');
  const said = sentBy(line, 'Typing').map(({ data }) => data['active']);
  assert.equal(said.indexOf(false), said.length - 1, 'not any more at the end');
  const repeatsMax = Math.floor((performance.now() - startedMs) / 3_000);
  assert.ok(said.length >= 2 && said.length <= 2 + repeatsMax, `once in three seconds: ${said.join()}`);

  // Thought better of.
  await input(ann).pressSequentially('no');
  await says(typists(ben), 'ann3 is typing…');
  await input(ann).fill('');
  await says(typists(ben), '');

  await talkTo(ben, 'ann3');
  await write(ben, 'psst');
  await tab(ann, 'ben3').click();
  await input(ann).pressSequentially('yes');
  await says(typists(ben), 'ann3 is typing…');
  // The line of the topic says nothing of it.
  await tab(ben, 'chat:lobby').click();
  assert.equal(await typists(ben).textContent(), '');
  assert.deepEqual(await own(), []);
  await close(ann, ben);
});

test('whoever stops writing without a word is forgotten', async () => {
  const topic = 'silent:topic';
  const robot = await demo.robot('robot4');
  const line = new Line();
  const ann = await demo.signIn('ann4', {}, line.prepare);
  await join(ann, topic);
  await say(robot, 'Typing', { topic, active: true });
  await says(typists(ann), 'robot4 is typing…');
  // What the server says of the end does not reach this page: it counts by itself.
  line.isDeaf = (frame) => frame.includes('"type":"Typing"');
  await typists(ann).filter({ hasText: /^$/ }).waitFor({ state: 'attached' });
  await robot.close();
  await close(ann);
});

test('a lost connection is resumed: nothing is missing, nothing is there twice, and nobody saw it', async () => {
  const topic = 'resumed:topic';
  const line = new Line();
  const writer = await demo.robot('writer5');
  await sayAll(writer, topic, numbers(3));
  const ann = await demo.signIn('ann5', {}, line.prepare);
  await join(ann, topic);
  await say(writer, 'Subscribe', { topic, presence: true });
  await here(ann, 2).waitFor();
  await say(writer, 'DirectMessage', { to: 'ann5', payload: { text: 'direct 1' } });
  await tab(ann, 'writer5 1 unread').waitFor();
  const subscribed = sentBy(line, 'Subscribe').length;

  for (const round of [0, 1, 2]) {
    await line.lose(ann);
    const first = 4 + round * 60;
    await sayAll(writer, topic, numbers(59, first));
    for (const count of [2, 3, 4])
      await say(writer, 'DirectMessage', { to: 'ann5', payload: { text: `direct ${count + round * 3}` } });
    // Written into the gap: sent when there is a connection again, once.
    await write(ann, `number ${first + 59}`);
    line.restore();
    await isSent(ann, `number ${first + 59}`);
    await tab(ann, `writer5 ${4 + round * 3} unread`).waitFor();
    await shows(ann, numbers(first + 59));
    await hasResumed(line, round + 1);
    await here(ann, 2).waitFor();
  }
  assert.equal(sentBy(line, 'Subscribe').length, subscribed, 'nothing was subscribed anew');
  await tab(ann, 'writer5').click();
  await shows(
    ann,
    numbers(10).map((text) => text.replace('number', 'direct')),
  );
  // And it lives: members, messages and the presence of the other user.
  await ann.locator('.conversation-head').getByText('online').waitFor();
  writer.socket.close(1000);
  await ann.locator('.conversation-head').getByText('last seen').waitFor();
  await tab(ann, topic).click();
  await here(ann, 1).waitFor();
  await close(ann);
});

test('what was opened and left during an absence is so afterwards', async () => {
  const line = new Line();
  const ann = await demo.signIn('ann6', {}, line.prepare);
  await join(ann, 'left:topic');
  await join(ann, 'again:topic');
  await line.lose(ann);
  for (const topic of ['left:topic', 'again:topic']) {
    await tab(ann, topic).click();
    await ann.getByRole('button', { name: `Leave ${topic}` }).click();
    await tab(ann, topic).waitFor({ state: 'detached' });
    await isReady(ann);
  }
  for (const topic of ['new:topic', 'again:topic']) {
    await ann.getByLabel('Join a topic').fill(topic);
    await ann.getByRole('button', { name: 'Join', exact: true }).click();
    await ann.getByRole('heading', { name: topic }).waitFor();
    await isReady(ann);
  }
  await talkTo(ann, 'writer6');
  line.restore();
  await hasResumed(line, 1);
  const writer = await demo.robot('writer6');
  await ann.locator('.conversation-head').getByText('online').waitFor();
  for (const topic of ['new:topic', 'again:topic']) {
    await tab(ann, topic).click();
    await ann.getByText('joined', { exact: true }).waitFor();
    await sayAll(writer, topic, [`to ${topic}`]);
    await shows(ann, [`to ${topic}`]);
    await here(ann, 1).waitFor();
  }
  await say(writer, 'Subscribe', { topic: 'left:topic', presence: true });
  await sayAll(writer, 'left:topic', ['nobody reads this']);
  const { data } = await writer.request('PresenceQuery', { topic: 'left:topic' });
  assert.equal(data.memberCount, 1);
  await writer.close();
  await close(ann);
});

test('a session that the server has forgotten is begun anew, with everything that was missed', async () => {
  const topic = 'forgotten:topic';
  const line = new Line();
  const [ann, ben] = await Promise.all([demo.signIn('ann7', {}, line.prepare), demo.signIn('ben7')]);
  for (const page of [ann, ben]) await join(page, topic);
  await here(ben, 2).waitFor();
  // Whoever leaves before their coming was told is not told of, although the list of ben may have them.
  await eventually('ann was announced', () =>
    line.received.some(
      ({ type, data }) => type === 'Presence' && data['topic'] === topic && data['user'] === 'ann7',
    ),
  );
  await line.cut(ann);
  await here(ben, 1).waitFor();
  for (const text of numbers(3)) {
    await write(ben, text);
    await isSent(ben, text);
  }
  line.restore();
  await shows(ann, numbers(3));
  const refused = line.received.filter(({ data }) => data['code'] === 'resume_failed');
  assert.equal(refused.length, 1);
  for (const page of [ann, ben]) await here(page, 2).waitFor();
  await close(ann, ben);
});

test('the death of its shard brings a page back without a doubled or a lost message', async () => {
  const line = new Line();
  const ann = await demo.signIn('ann8', {}, line.prepare);
  const own = await shardOf(ann);
  const ring = new HashRing(2);
  const topic = numbers(50)
    .map((text) => `death:${text.replace('number ', '')}`)
    .find((name) => ring.shardOf(`default|${name}`) !== own) as string;
  const ben = await demo.signInWhere('ben8', (shard) => shard !== own);
  for (const page of [ann, ben]) await join(page, topic);
  await here(ann, 2).waitFor();
  await write(ben, 'before');
  await shows(ann, ['before']);

  demo.server.failpoint(own, 'shard.exit');
  await write(ben, 'during');
  await messages(ann, 'Connected again').waitFor();
  await isThere(ann, 'ann8');
  await isSentAfterAll(ben, 'during');
  await write(ann, 'after');
  await isSentAfterAll(ann, 'after');
  for (const page of [ann, ben]) {
    await messages(page, 'after').waitFor();
    await eventually(
      'all three, once',
      async () => (await textsOf(page)).toSorted().join() === 'after,before,during',
    );
    await here(page, 2).waitFor();
  }
  await input(ann).pressSequentially('still here');
  await says(typists(ben), 'ann8 is typing…');
  await close(ann, ben);
  demo.forgive(/^WebSocket connection to .* failed|^Failed to load resource: net::/); // a try that met the end of the shard
});

test('of too many only the number is told, until they are few again', async () => {
  const page = await demo.visit();
  const shown = await page.evaluate(async () => {
    const { listed, withNews, withTyping } = await import(`${'/presence.js'}`);
    const { typingWords } = await import(`${'/wording.js'}`);
    const two = listed(
      [
        { user: 'ann', status: 'online' },
        { user: 'cid', status: 'away', devices: [] },
      ],
      2,
    );
    const ben = { user: 'ben', status: 'busy', event: 'join' };
    return {
      steps: [
        two,
        withNews(two, ben),
        withNews(withNews(two, ben), { ...ben, status: 'away', event: 'change' }),
        withNews(two, { user: 'cid', status: 'offline', event: 'leave' }),
        withNews(two, { user: 'nobody', status: 'offline', event: 'leave' }),
        withNews(two, { memberCount: 250, event: 'change' }),
        withNews({ count: 250 }, ben),
        listed([{ user: 'ann', status: 'online' }], 250),
      ].map(({ count, users }) => [
        count,
        users?.map(({ user, status }: { user: string; status: string }) => `${user} ${status}`).join(),
      ]),
      typing: [withTyping([], 'ann', true), withTyping(['ann', 'ben'], 'ann', false)],
      words: [[], ['ann'], ['ann', 'ben'], ['ann', 'ben', 'cid']].map((names) => typingWords(names)),
    };
  });
  assert.deepEqual(shown, {
    steps: [
      [2, 'ann online,cid away'],
      [3, 'ann online,ben busy,cid away'],
      [3, 'ann online,ben away,cid away'],
      [1, 'ann online'],
      [2, 'ann online,cid away'],
      [250, undefined],
      [250, undefined],
      [250, undefined],
    ],
    typing: [['ann'], ['ben']],
    words: [undefined, 'ann is typing…', 'ann and ben are typing…', 'Several people are typing…'],
  });
  await close(page);
});

test('in all of this no page broke its content policy, logged an error or threw', () => {
  assert.deepEqual(demo.complaints, []);
});
