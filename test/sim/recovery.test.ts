/**
 * Coming back, simulated: shards, a store and clients in one thread, faults by seed, and after each run the question whether
 * anything was lost, doubled, reordered or left out without a word, and whether anything is still there that should not be.
 */
import { testSeeds } from '../kit/sim-seeds.ts';

await testSeeds(new URL('../kit/sim-run.ts', import.meta.url), {
  seedCount: 10_000,
  claim: '[DUR5] [REC1] [REC2] [REC3] # seeds: nothing is lost, doubled, reordered, left out or left over',
  foundRules: '[REC1] [REC2]',
  found: [
    [27, 'nothing of the inbox comes before Connect'],
    [118, 'a home that is behind its store does not say that something is out of reach'],
    [190, 'a home that refused a session does not keep it for ever'],
    [282, 'a recovery ends with the Unsubscribe of its subscription'],
    [451, 'a batch whose fate is unknown is not told as not stored'],
    [1142, 'a repeat is not told as not stored while the database is away'],
    [2077, 'Subscribe of the inbox, detached meanwhile, may be tried again'],
    [2448, 'a session that began without its inbox is told of a hole'],
    [2769, 'an entry whose home died before the commit reaches its subscribers when it is sent again'],
  ],
});
