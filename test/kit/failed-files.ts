/** A reporter of node:test for test/run.ts: the files in which something failed, one a line. */
interface TestEvent {
  type: string;
  data: {
    /** Where `test` was called, which may be a file of the kit. */
    file?: string;
    /** What was run. */
    entryFile?: string;
  };
}

export default async function* failedFiles(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files = new Set<string>();
  for await (const { type, data } of events) {
    const file = data.entryFile ?? data.file;
    if (type === 'test:fail' && file !== undefined) files.add(file);
  }
  for (const file of files) yield `${file}\n`;
}
