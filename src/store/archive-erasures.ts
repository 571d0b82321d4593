/**
 * Erasures of users on their way through the archives of their tenant: each file that has content of them is written anew.
 * Thread: store. Called by archive.ts in each round. An erasure is settled when all files were looked at; one that was cut
 * short, or met a file that cannot be read, begins again with the next round.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MessageId, Tenant, TopicKey } from '#proto/names.ts';
import type { Archive, ArchiveIndex, ArchiveLead, Erasure } from './archive-index.ts';
import type { HistoryStore } from './history-store.ts';
import type { RunJob } from './job-desk.ts';

/** Archives of one look. */
const lookMax = 100;

interface ErasureContext {
  store: Pick<ArchiveIndex, 'archives' | 'erasures'> & Pick<HistoryStore, 'epoch'>;
  runJob: RunJob;
  archiveDir: string;
  /** Undefined when it failed with this file. */
  attempt<Answer>(work: () => Promise<Answer>): Promise<Answer | undefined>;
  /** Undefined when another server has the lead. */
  withLead<Answer>(work: (lead: ArchiveLead) => Promise<Answer>): Promise<Answer | undefined>;
}

export async function eraseFromArchives(ctx: ErasureContext): Promise<void> {
  const pending = await ctx.store.erasures();
  for (const [tenant, erasures] of Map.groupBy(pending, (erasure) => erasure.tenant)) {
    if (!(await eraseTenant(tenant, erasures, ctx))) continue;
    for (const erasure of erasures) await ctx.withLead((lead) => lead.settle(erasure));
  }
}

/** False: not all of it. */
async function eraseTenant(tenant: Tenant, erasures: Erasure[], ctx: ErasureContext): Promise<boolean> {
  let isWhole = true;
  let at: { topic: TopicKey; targets: MessageId[] } | undefined;
  let after: Archive | undefined;
  for (;;) {
    const archives = await ctx.store.archives({ tenant, after, limit: lookMax });
    for (const archive of archives) {
      if (at?.topic !== archive.topic) {
        isWhole = (await blankEdits(at, ctx)) && isWhole;
        at = { topic: archive.topic, targets: [] };
      }
      const { targets } = at;
      const found = await ctx.attempt(() =>
        ctx.withLead((lead) => rewrite(lead, archive, erasures, targets, ctx)),
      );
      if (found === undefined) isWhole = false;
      else at.targets = found;
    }
    after = archives.at(-1);
    if (archives.length < lookMax) break;
  }
  return (await blankEdits(at, ctx)) && isWhole;
}

/** Answers the edited messages of those users so far. */
async function rewrite(
  lead: ArchiveLead,
  { topic, firstOffset }: Archive,
  erasures: Erasure[],
  targets: MessageId[],
  { store, runJob, archiveDir }: ErasureContext,
): Promise<MessageId[]> {
  // As it is now: another server may have had the lead in between.
  const after = { topic, firstOffset: firstOffset - 1 };
  const [archive] = await store.archives({ topic, after, limit: 1 });
  if (archive?.firstOffset !== firstOffset) return targets;
  const { file, bytes, sha256 } = archive;
  const request = { archiveDir, topic, epoch: store.epoch, from: { file, bytes, sha256 }, erasures, targets };
  const { by, targets: found } = await runJob('eraseArchive', request);
  if (by !== undefined && (await lead.replace({ archive, by })))
    await rm(join(archiveDir, file), { force: true });
  return found;
}

/** Edits in the log of messages that are in archives. */
async function blankEdits(
  at: { topic: TopicKey; targets: MessageId[] } | undefined,
  ctx: ErasureContext,
): Promise<boolean> {
  if (at === undefined || at.targets.length === 0) return true;
  const { topic, targets } = at;
  const isDone = await ctx.withLead(async (lead) => {
    await lead.blankEdits({ topic, targets });
    return true;
  });
  return isDone === true;
}
