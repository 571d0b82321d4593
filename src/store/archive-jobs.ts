/**
 * What the CPU pool does for archives: compress and write a file, rewrite one without the content of erased users.
 * Thread: CPU pool (workers/cpu-job.ts). Asked for by archive.ts and archive-erasures.ts through job-desk.ts. A job that is
 * cut short leaves at most a file that nobody knows.
 */
import type { MessageId, TopicKey } from '#proto/names.ts';
import { unpackObject } from '../wire/codec.ts';
import { ArchiveEraser } from './archive-eraser.ts';
import { readArchiveFile, writeArchiveFile } from './archive-files.ts';
import type { ArchiveFile, Erasure } from './archive-index.ts';
import type { SearchPage, SearchRequest, StoredMessage } from './history-store.ts';

interface Place {
  archiveDir: string;
  topic: TopicKey;
  epoch: string;
}

/** By name: what a job takes, and what it answers. */
export interface CpuJobs {
  writeArchive: {
    /** Pages of stored messages, oldest first, as `packObject` packs them. */
    request: Place & { pages: Uint8Array<ArrayBuffer>[] };
    answer: ArchiveFile;
  };
  eraseArchive: {
    /** `targets`: of this topic's archives before this one. */
    request: Place & { from: ArchiveFile; erasures: Erasure[]; targets: MessageId[] };
    /** `by` is undefined when nothing was to be taken; `targets` of this and those before. */
    answer: { by: ArchiveFile | undefined; targets: MessageId[] };
  };
  /** search-job.ts */
  search: {
    request: { dataDir: string; request: SearchRequest };
    answer: SearchPage;
  };
}

type Job<Name extends keyof CpuJobs> = (request: CpuJobs[Name]['request']) => CpuJobs[Name]['answer'];

export const writeArchive: Job<'writeArchive'> = ({ archiveDir, pages, ...place }) => {
  const messages = pages.flatMap((page) => unpackObject(page) as StoredMessage[]);
  return writeArchiveFile(archiveDir, place, messages);
};

export const eraseArchive: Job<'eraseArchive'> = (request) => {
  const { archiveDir, from, erasures, targets, topic, epoch } = request;
  const messages = readArchiveFile(archiveDir, from);
  const eraser = new ArchiveEraser(erasures, targets);
  const erased = messages.map((message) => eraser.erased(message));
  const isChanged = erased.some((message, index) => message !== messages[index]);
  const by = isChanged ? writeArchiveFile(archiveDir, { topic, epoch }, erased) : undefined;
  return { by, targets: [...eraser.targets] };
};
