/** Claims of search: which messages are found, by whom, in which order. */
import assert from 'node:assert/strict';
import type { AppendEntry, HistoryStore } from '../../../src/store/history-store.ts';
import {
  amend,
  ann,
  ben,
  bytes,
  type Claim,
  cat,
  direct,
  entry,
  found,
  tenant,
  termsOf,
  topic,
} from '../entries.ts';

export function claimSearch(claim: Claim): void {
  claimWords(claim);
  claimPlaces(claim);
  claimFreshness(claim);
}

/** Stores messages with these texts; answers which of them a query finds, by their index. */
async function withTexts(store: HistoryStore, texts: (string | undefined)[]) {
  const batch = texts.map((text) => entry({ text }));
  await store.append(batch);
  return async (query: string): Promise<number[]> => indexesOf(batch, await found(store, query));
}

function indexesOf(batch: AppendEntry[], ids: string[]): number[] {
  return ids.map((id) => batch.findIndex(({ messageId }) => messageId === id)).sort();
}

function claimWords(claim: Claim): void {
  claim('words, phrases, or and -not mean what they say', async (store) => {
    const find = await withTexts(store, [
      ...[
        'The quick brown fox',
        'brown bread and a quick fox',
        'a slow fox',
        undefined,
        'quick-witted, 42 times',
      ],
    ]);
    assert.deepEqual(await find('fox'), [0, 1, 2]);
    assert.deepEqual(await find('fox quick'), [0, 1]);
    assert.deepEqual(await find('"brown fox"'), [0]);
    assert.deepEqual(await find('"fox brown"'), []);
    assert.deepEqual(await find('slow or bread'), [1, 2]);
    assert.deepEqual(await find('quick slow or bread'), [1]);
    assert.deepEqual(await find('fox -quick'), [2]);
    assert.deepEqual(await find('fox -"quick brown"'), [1, 2]);
    assert.deepEqual(await find('-bread -slow fox'), [0]);
    assert.deepEqual(await find('slow or quick -fox'), [2, 4]);
    assert.deepEqual(await find('42'), [4]);
    assert.deepEqual(await find('quick-witted'), [4]);
    assert.deepEqual(await find('witted quick'), [4]);
    assert.deepEqual(await find('fo'), []);
    assert.deepEqual(await find('nothing'), []);
  });

  claim('case and accents do not matter, in the text or in the question', async (store) => {
    const find = await withTexts(store, [
      'Crème BRÛLÉE',
      'creme de la creme',
      'Über Ångström',
      'ПРИВЕТ мир',
      '東京 タワー',
    ]);
    assert.deepEqual(await find('creme'), [0, 1]);
    assert.deepEqual(await find('CRÈME'), [0, 1]);
    assert.deepEqual(await find('"Creme Brulee"'), [0]);
    assert.deepEqual(await find('uber'), [2]);
    assert.deepEqual(await find('ÜBER angstrom'), [2]);
    assert.deepEqual(await find('u\u0308ber'), [2]);
    assert.deepEqual(await find('привет МИР'), [3]);
    assert.deepEqual(await find('東京'), [4]);
  });

  claim('addresses and numbers are words, too', async (store) => {
    const find = await withTexts(store, [
      'see https://example.com/path?q=1',
      'mail to ann@example.com',
      'v1.2.3 of 1e5',
    ]);
    assert.deepEqual(await find('example.com'), [0, 1]);
    assert.deepEqual(await find('example'), [0, 1]);
    assert.deepEqual(await find('ann@example.com'), [1]);
    assert.deepEqual(await find('path'), [0]);
    assert.deepEqual(await find('v1.2.3'), [2]);
    assert.deepEqual(await find('1e5'), [2]);
  });

  claim('words that are operators elsewhere are words here', async (store) => {
    const find = await withTexts(store, ['fox dog', 'fox and dog', 'near fox', "it's a fox", 'fox\u0000den']);
    assert.deepEqual(await find('fox AND dog'), [1]);
    assert.deepEqual(await find('NEAR fox'), [2]);
    assert.deepEqual(await find("it's"), [3]);
    assert.deepEqual(await find('fox* dog'), [0, 1]);
    assert.deepEqual(await find('den'), [4]);
    const signs = [
      'fox:*',
      'text:fox',
      '^fox',
      'fox & | !',
      "fox'",
      'fox\\',
      '(fox',
      'fox <-> dog',
      'fox;--',
      '{fox}',
    ];
    const more = [
      'fox\u0000',
      '\u0000fox',
      'fox\u0000den',
      '+fox',
      'NOT fox',
      'fox NEAR/2',
      "''fox''",
      'fox %',
      '$1 fox',
    ];
    for (const query of [...signs, ...more]) await find(query);
    assert.deepEqual(await find('fox\\'), [0, 1, 2, 3, 4]);
    assert.deepEqual(await find('(fox)'), [0, 1, 2, 3, 4]);
  });

  claim('a long text is stored and found', async (store) => {
    const words = Array.from({ length: 20_000 }, (_, index) => `w${index}`);
    const find = await withTexts(store, [words.join(' '), 'x'.repeat(100_000), `${'y'.repeat(5_000)} short`]);
    assert.deepEqual(await find('w0 w777'), [0]);
    assert.deepEqual(await find('short'), [2]);
  });

  claim('the better a message fits, the larger its rank and the earlier it comes', async (store) => {
    const batch = ['plum pear apple grape', 'apple apple apple pear', 'plum', 'pear', 'grape', 'lemon'].map(
      (text) => entry({ text }),
    );
    await store.append(batch);
    const request = { tenant, terms: termsOf('apple'), within: ['*'], without: [], limit: 10 };
    const { messages } = await store.search(request);
    assert.deepEqual(indexesOf(batch, [messages[0]!.message.messageId]), [1]);
    assert.equal(messages.length, 2);
    assert.ok(messages[0]!.rank > messages[1]!.rank);
  });
}

function claimPlaces(claim: Claim): void {
  claim('a search looks where it may, by names and patterns', async (store) => {
    const names = ['chat:a', 'chat:b', 'chat:secret', 'news', 'a_b', 'aXb'];
    const batch = names.map((name) => entry({ topic: topic(name), text: 'word' }));
    await store.append(batch);
    const find = async (within: string[], without: string[] = []) =>
      indexesOf(batch, await found(store, 'word', { within, without })).map((index) => names[index]);
    assert.deepEqual(await find(['*']), names);
    assert.deepEqual(await find(['chat:a']), ['chat:a']);
    assert.deepEqual(await find(['chat:*']), ['chat:a', 'chat:b', 'chat:secret']);
    assert.deepEqual(await find(['chat:*', 'news'], ['*secret']), ['chat:a', 'chat:b', 'news']);
    assert.deepEqual(await find(['*'], ['chat:*', 'a_b']), ['news', 'aXb']);
    assert.deepEqual(await find(['a_b']), ['a_b']);
    assert.deepEqual(await find(['*a*b*']), ['chat:b', 'a_b', 'aXb']);
    assert.deepEqual(await find(['CHAT:*']), []);
    assert.deepEqual(await find(['chat:']), []);
    assert.deepEqual(await find([]), []);
    assert.deepEqual(await find(['*'], ['*']), []);
  });

  claim('a search is bounded by sender, conversation and tenant', async (store) => {
    const batch = [
      ...[entry({ text: 'word' }), entry({ text: 'word', from: ben }), direct(ann, ben, { text: 'word' })],
      ...[direct(cat, ann, { text: 'word' }), entry({ text: 'word', topic: topic('chat:a', 'other') })],
    ];
    await store.append(batch);
    const find = async (request: object) => indexesOf(batch, await found(store, 'word', request));
    assert.deepEqual(await find({ from: ben }), [1]);
    assert.deepEqual(await find({ within: ['inbox:ann'] }), [2, 3]);
    assert.deepEqual(await find({ within: ['inbox:ann'], peer: ben }), [2]);
    assert.deepEqual(await find({ within: ['inbox:ann'], peer: cat, from: cat }), [3]);
    assert.deepEqual(await find({ within: ['inbox:ann'], peer: cat, from: ann }), []);
    assert.deepEqual(await find({ tenant: 'other' }), [4]);
    assert.deepEqual(await find({ tenant: 'nobody' }), []);
    const { messages } = await store.search({
      ...{ tenant, terms: termsOf('word'), within: ['inbox:ben'], without: [], limit: 10 },
    });
    assert.deepEqual(
      messages.map(({ topic: name, message }) => [name, message.offset, message.peer, message.messageId]),
      [['inbox:ben', 1, ann, batch[2]!.messageId]],
    );
  });

  claim('a search gives at most as many as asked, and says that there are more', async (store) => {
    await store.append(Array.from({ length: 5 }, () => entry({ text: 'word' })));
    const search = async (limit: number) => {
      const request = { tenant, terms: termsOf('word'), within: ['*'], without: [], limit };
      const { messages, hasMore } = await store.search(request);
      return [messages.length, hasMore];
    };
    assert.deepEqual(
      [await search(1), await search(4), await search(5)],
      [
        [1, true],
        [4, true],
        [5, false],
      ],
    );
  });
}

function claimFreshness(claim: Claim): void {
  claim('an edited message is found by its new words only, a deleted one not at all', async (store) => {
    const message = direct(ann, ben, { text: 'the old words' });
    await store.append([message, entry({ text: 'old' })]);
    await store.append([amend('edited', message, { text: 'the new words', payload: bytes(3) })]);
    assert.deepEqual(await found(store, 'old words'), []);
    const request = { tenant, terms: termsOf('new'), within: ['*'], without: [], limit: 10 };
    const { messages } = await store.search(request);
    assert.deepEqual(
      messages.map(({ message: { kind, messageId, payload } }) => [kind, messageId, payload[0]]),
      Array.from({ length: 2 }, () => ['message', message.messageId, 3]),
    );
    await store.append([amend('deleted', message)]);
    assert.deepEqual(await found(store, 'words or new'), []);
  });

  claim('an edit without text takes the words away, and one may bring the first', async (store) => {
    const [spoken, silent] = [entry({ text: 'spoken' }), entry()];
    await store.append([spoken, silent]);
    await store.append([amend('edited', spoken), amend('edited', silent, { text: 'heard' })]);
    assert.deepEqual(await found(store, 'spoken'), []);
    assert.deepEqual(await found(store, 'heard'), [silent.messageId]);
  });
}
