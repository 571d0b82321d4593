/**
 * Who is there, simulated: devices that come, go, are lost and resume, and shards that die. After each run everyone knows the
 * truth within five seconds; nobody flickered, stayed for ever, was seen though invisible, or missed anything.
 */
import { testSeeds } from '../kit/sim-seeds.ts';

await testSeeds(new URL('../kit/sim-presence-run.ts', import.meta.url), {
  seedCount: 1000,
  claim: '[PRS1] [PRS2] [RES1] [RES2] # seeds: everyone knows the truth, and nobody flickers',
  foundRules: '[PRS1] [PRS2] [RES2]',
  found: [
    [23, 'the members in a reply are no older than what was told of them before it'],
    [88, 'a user is not hidden for ever when the home dies that knew of the invisible device'],
    [160, 'a reply about users of two homes is no older than what was told before it'],
    [219, 'what was replayed to a connection that was taken over before it answered is replayed again'],
    [470, 'a home that dies before a session has told it anything does not forget what is kept of it'],
    [549, 'nothing of a resumption goes out when its connection is taken over before the reply'],
    [1315, 'a connection that is lost before it is live is no goodbye of its device'],
    [1464, 'a topic that came back in the reply to Resume is not told to have ended before it'],
    [9348, 'a topic whose home dies before the reply to Resume is not said to be out of reach'],
  ],
});
