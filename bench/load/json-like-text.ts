/** Text with the repetitions of JSON and values that do not repeat: what an application's messages compress like. Pure. */

const words = [
  'order',
  'room',
  'player',
  'price',
  'message',
  'sensor',
  'invoice',
  'cursor',
  'team',
  'device',
];

/** At least `bytes` of it, always the same for a `seed`. In single quotes: as a string in JSON it keeps its length. */
export function jsonLikeText(seed: number, bytes: number): string {
  let state = seed | 1;
  const random = (below: number) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
  let text = '';
  while (text.length < bytes) {
    const word = words[random(words.length)] as string;
    text +=
      `,{'id':'${random(2 ** 31).toString(36)}','kind':'${word}','owner':'user-${random(10_000)}',` +
      `'value':${(random(1_000_000) / 100).toFixed(2)},'active':${random(2) === 0},'updatedAt':${1_790_000_000_000 + random(2 ** 31)}}`;
  }
  return text;
}
