/** A process whose shard cannot be kept alive: the others say goodbye to their clients, and it ends with 70. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startChildServer } from '../kit/child-server.ts';
import { eventually } from '../kit/eventually.ts';
import { clientsOnShards } from '../kit/test-client.ts';
import { tokenOf } from '../kit/test-server.ts';

/** Loaded into every thread of the process: that of shard 1 dies as soon as `file` exists, and its successors at once. */
function preloadOf(file: string): string {
  const code = `
    import { existsSync } from 'node:fs';
    import { isMainThread, workerData } from 'node:worker_threads';
    if (!isMainThread && workerData?.shard === 1) {
      const look = () => existsSync(${JSON.stringify(file)}) && process.exit(9);
      look();
      setInterval(look, 20).unref();
    }`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

test('[SUP4] past the restart budget the clients of the shards that are left get System draining and 4000, and the process exits with 70', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'carillon-exhausted-'));
  const file = join(dir, 'shard-1-must-die');
  t.after(() => rmSync(dir, { recursive: true }));
  const server = await startChildServer({}, ['--import', preloadOf(file)]);
  t.after(() => void server.process.kill('SIGKILL'));
  const exit = once(server.process, 'exit');
  const survivors = [
    ...(await clientsOnShards({ url: server.url, token: tokenOf('ann') }, [0, 0])),
    ...(await clientsOnShards({ url: server.url, token: tokenOf('ben'), encoding: 'msgpack' }, [0])),
  ];
  const [victim] = await clientsOnShards({ url: server.url, token: tokenOf('cat') }, [1]);
  writeFileSync(file, '');
  await victim!.closeCode();
  // The restarts are spread over some eight seconds, in which those who are left go on.
  assert.equal((await survivors[0]!.request('Ping')).type, 'Pong');

  const [code] = await exit;
  assert.equal(code, 70, server.output());
  for (const client of survivors) {
    assert.equal(await client.closeCode(), 4000);
    const { type, data } = client.received.at(-1)!;
    assert.deepEqual([type, data.event], ['System', 'draining']);
    assert.ok(data.reconnectAfterMs >= 0);
  }
  // The exit may be heard of before the last of what was printed.
  await eventually('it says why', () =>
    /"shard":1.*a shard died and its restart budget is spent/.test(server.output()),
  );
});
