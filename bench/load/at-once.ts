/** Does `task` for 0 to `count` - 1, so many of them at the same time. */
export async function atOnce(
  taskCount: number,
  count: number,
  task: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(taskCount, count) }, async () => {
      while (next < count) await task(next++);
    }),
  );
}
