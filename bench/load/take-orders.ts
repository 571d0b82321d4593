/**
 * What a process of the load does: takes orders by IPC, one after the other, and answers each; ends with its parent, which
 * has the types of both (load-process.ts).
 */
export function takeOrders(carryOut: (order: never) => Promise<object>): void {
  process.on('message', (order) => {
    carryOut(order as never).then(
      (reply) => process.send?.(reply),
      (error: Error) => {
        console.error(`bench: the load failed: ${error.message}`);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
}
