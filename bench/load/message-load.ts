/**
 * Load of every scenario in which messages are delivered, in a process of its own: clients that count and publish.
 * Takes orders by IPC, one after the other, and answers each; ends with its parent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Clients } from './clients.ts';
import type { Order, Reply } from './orders.ts';
import { saturate, sendPaced } from './sending.ts';

export type { Order, Reply } from './orders.ts';

let clients: Clients;

process.on('message', (order: Order) => {
  carryOut(order).then(
    (reply) => process.send?.(reply),
    (error: Error) => {
      console.error(`bench: the load failed: ${error.message}`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));

async function carryOut(order: Order): Promise<Reply> {
  switch (order.do) {
    case 'open':
      clients = await Clients.open(order.audience);
      return { opened: clients.all.length };
    case 'mark':
      clients.mark();
      return { marked: true };
    case 'send':
      return { sent: await sendPaced(clients, order.send) };
    case 'saturate':
      return { sent: await saturate(clients, order.send) };
    default:
      await allReceived(order.publishedTo, order.timeoutMs);
      return { received: clients.report(order.publishedTo) };
  }
}

async function allReceived(publishedTo: number[], timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  const expected = clients.expectedOf(publishedTo);
  while (clients.delivered() < expected && clients.closedCount() === 0 && performance.now() < deadlineMs)
    await sleep(2);
}
