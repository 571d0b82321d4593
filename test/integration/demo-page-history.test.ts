/** The demo page and what is stored: pages of history, and what was missed, in a real browser. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { HashRing } from '../../src/routing/hash-ring.ts';
import {
  close,
  Demo,
  isSent,
  join,
  Line,
  messages,
  numbers,
  picture,
  say,
  sayAll,
  shardOf,
  shows,
  tab,
  talkTo,
  write,
} from '../kit/demo-page.ts';
import { eventually } from '../kit/eventually.ts';

let demo: Demo;

before(async () => {
  demo = await Demo.start();
});
after(() => demo?.stop());

test('a topic opens with its last page, and older pages come when one scrolls up or asks', async () => {
  const topic = 'pages:topic';
  const writer = await demo.robot('writer');
  await sayAll(writer, topic, numbers(120));
  const ann = await demo.signIn('ann1');
  await join(ann, topic);
  await messages(ann, 'number 120').waitFor();
  await shows(ann, numbers(50, 71));
  await picture(ann, 'history');

  const toTop = () => ann.getByRole('log').evaluate((element) => element.scrollTo({ top: 0 }));
  await toTop();
  await messages(ann, 'number 21').waitFor();
  await shows(ann, numbers(100, 21));
  // What was being read has kept its place.
  const { y } = (await messages(ann, 'number 71').boundingBox()) as { y: number };
  assert.ok(y > 100 && y < 300, `${y}`);
  await toTop();
  await messages(ann, 'number 20').waitFor();
  await shows(ann, numbers(120));
  await ann.getByText('Everybody who joins this topic').waitFor();

  // Somebody who reads further up is not carried away, and finds back to the end.
  await sayAll(writer, topic, ['number 121']);
  await ann.getByRole('button', { name: '1 new' }).click();
  await messages(ann, 'number 121').waitFor();
  await ann.getByRole('button', { name: 'new' }).waitFor({ state: 'detached' });

  // Where nothing can be scrolled there is a button.
  const ben = await demo.signIn('ben1', { viewport: { width: 1280, height: 4000 } });
  await join(ben, topic);
  await messages(ben, 'number 121').waitFor();
  await ben.getByRole('button', { name: 'Older messages' }).press('Enter');
  await messages(ben, 'number 71').waitFor();
  await shows(ben, numbers(100, 22));
  await writer.close();
  await close(ann, ben);
});

test('who scrolls up in the moment in which something new arrives is not carried back', async () => {
  const topic = 'moment:topic';
  const writer = await demo.robot('writer5');
  await sayAll(writer, topic, numbers(120));
  const ann = await demo.signIn('ann5', {}, holdFrames);
  await join(ann, topic);
  await shows(ann, numbers(50, 71));
  await ann.evaluate('held = []');
  for (const text of ['number 121', 'number 122']) await sayAll(writer, topic, [text]);
  await eventually('both are held', () => ann.evaluate('held.length > 1'));
  await ann.evaluate(`document.querySelector('.log').scrollTo({ top: 0 }); release()`);
  await messages(ann, 'number 21').waitFor();
  await shows(ann, numbers(102, 21));
  await writer.close();
  await close(ann);
});

/** Lets a test say in which moment the page hears what has come: not while `held` is a list, until `release()`. */
async function holdFrames(page: Page): Promise<void> {
  await page.addInitScript(`
    globalThis.held = undefined;
    const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
    Object.defineProperty(WebSocket.prototype, 'onmessage', {
      set(on) {
        set.call(this, on && ((event) => (held === undefined ? on(event) : held.push(() => on(event)))));
      },
    });
    globalThis.release = async () => {
      for (const hear of held.splice(0)) {
        hear();
        await Promise.resolve().then(() => {}); // and that is drawn
      }
      held = undefined;
    };
  `);
}

test('a conversation opens with what was said before, and is there after a reload', async () => {
  const ben = await demo.robot('ben2');
  await say(ben, 'DirectMessage', { to: 'ann2', payload: { text: 'while you were out' } });
  const ann = await demo.signIn('ann2');
  await talkTo(ann, 'ben2');
  await messages(ann, 'while you were out').waitFor();
  await write(ann, 'I am back');
  await isSent(ann, 'I am back');
  await ann.reload();
  await tab(ann, 'ben2').click();
  for (const text of ['while you were out', 'I am back']) await messages(ann, text).waitFor();
  await shows(ann, ['while you were out', 'I am back']);
  await ben.close();
  await close(ann);
});

test('after a lost connection nothing is missing and nothing is there twice', async () => {
  const topic = 'absence:topic';
  const line = new Line();
  const writer = await demo.robot('writer3');
  await sayAll(writer, topic, numbers(3));
  const ann = await demo.signIn('ann3', {}, line.prepare);
  await join(ann, topic);
  await write(ann, 'number 4');
  await isSent(ann, 'number 4');
  await say(writer, 'DirectMessage', { to: 'ann3', payload: { text: 'direct 1' } });
  await tab(ann, 'writer3 1 unread').waitFor();

  for (const round of [0, 1]) {
    await line.cut(ann);
    const first = 5 + round * 60;
    await sayAll(writer, topic, numbers(59, first));
    for (let count = 0; count < 3; count++)
      await say(writer, 'DirectMessage', {
        to: 'ann3',
        payload: { text: `direct ${2 + round * 3 + count}` },
      });
    // Written into the gap: sent when there is a connection again, once.
    await write(ann, `number ${first + 59}`);
    line.restore();
    await isSent(ann, `number ${first + 59}`);
    await tab(ann, `writer3 ${4 + round * 3} unread`).waitFor();
    await messages(ann, `number ${first + 58}`).waitFor();
    await shows(ann, numbers(first + 59));
  }
  await tab(ann, 'writer3').click();
  await messages(ann, 'direct 7').waitFor();
  await shows(
    ann,
    [1, 2, 3, 4, 5, 6, 7].map((count) => `direct ${count}`),
  );
  await writer.close();
  await close(ann);
});

test('where the position is out of reach the history is loaded anew', async () => {
  const topic = 'elsewhere:topic';
  const line = new Line();
  const writer = await demo.robot('writer4');
  await sayAll(writer, topic, numbers(3));
  await say(writer, 'DirectMessage', { to: 'ann4', payload: { text: 'direct 1' } });
  const ann = await demo.signIn('ann4', {}, line.prepare);
  await talkTo(ann, 'writer4');
  await messages(ann, 'direct 1').waitFor();
  await join(ann, topic);
  await messages(ann, 'number 3').waitFor();
  await line.cut(ann);
  await sayAll(writer, topic, numbers(4, 4));
  await say(writer, 'DirectMessage', { to: 'ann4', payload: { text: 'direct 2' } });
  // The stream that the page knew is no more.
  line.rewrite = (frame) => frame.replace(/"epoch":"[^"]+"/, '"epoch":"another"');
  line.restore();
  await messages(ann, 'number 7').waitFor();
  await shows(ann, numbers(7));
  // And the lobby, and the inbox: each is answered on its own.
  await eventually(
    'three positions are out of reach',
    () => line.received.filter(({ data }) => data['recovered'] === false).length === 3,
  );
  await tab(ann, 'writer4').click();
  await messages(ann, 'direct 2').waitFor();
  await shows(ann, ['direct 1', 'direct 2']);
  await writer.close();
  await close(ann);
});

test('when the home of a topic dies the page subscribes again where it was', async () => {
  const ring = new HashRing(2);
  const ann = await demo.signIn('ann5');
  const own = await shardOf(ann);
  const names = Array.from({ length: 50 }, (_, index) => `home:${index}`);
  const topic = names.find((name) => ring.shardOf(`default|${name}`) !== own) as string;
  const writer = await demo.robot('writer5');
  await sayAll(writer, topic, numbers(2));
  await join(ann, topic);
  await messages(ann, 'number 2').waitFor();
  demo.server.failpoint(1 - own, 'shard.exit');
  let count = 2;
  for (let next = 3; next <= 20; next++) {
    await eventually('it is published', async () => {
      // The writer's own shard may have been the one, and a new connection may still meet its end.
      const client =
        writer.closed === undefined ? writer : await demo.robot('writer5').catch(() => undefined);
      if (client === undefined) return false;
      const payload = { text: `number ${next}` };
      const { type } = await client
        .request('Broadcast', { topic, payload, key: `key ${next}` })
        .catch(() => ({ type: 'closed' }));
      if (client !== writer) await client.close();
      return type === 'Status';
    });
    count = next;
  }
  await messages(ann, 'number 20').waitFor();
  await shows(ann, numbers(count));
  assert.equal(await shardOf(ann), own);
  assert.equal(await messages(ann, 'Connection lost').count(), 0);
  await writer.close();
  await close(ann);
});

test('in all of this no page broke its content policy, logged an error or threw', () => {
  assert.deepEqual(demo.complaints, []);
});
