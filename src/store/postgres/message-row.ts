/** Rows of `messages` → what the seam speaks of. Called by the readers of this folder. */
import type { Priority } from '#proto/data.ts';
import type { MessageId, UserId } from '#proto/names.ts';
import type { EntryKind, StoredMessage } from '../history-store.ts';
import { msOf, readText } from './values.ts';

/** To be selected from `messages AS m`. */
export const messageColumns = `m."offset", m.kind, m.message_id AS "messageId", m.target_id AS target, m.sender, m.peer,
  m.event, m.priority, m.payload, ${msOf('m.created_at')} AS "timestampMs", ${msOf('m.edited_at')} AS "editedAtMs",
  ${msOf('m.deleted_at')} AS "deletedAtMs"`;

export interface MessageRow {
  offset: number;
  kind: string;
  messageId: string;
  target: string | null;
  sender: string;
  peer: string | null;
  event: string | null;
  priority: string | null;
  payload: Uint8Array;
  timestampMs: number;
  editedAtMs: number | null;
  deletedAtMs: number | null;
}

export function messageOf(row: MessageRow): StoredMessage {
  return {
    kind: row.kind as EntryKind,
    offset: row.offset,
    messageId: row.messageId as MessageId,
    from: row.sender as UserId,
    peer: (row.peer ?? undefined) as UserId | undefined,
    target: (row.target ?? undefined) as MessageId | undefined,
    event: row.event === null ? undefined : readText(row.event),
    priority: (row.priority ?? undefined) as Priority | undefined,
    payload: row.payload,
    timestampMs: row.timestampMs,
    editedAtMs: row.editedAtMs ?? undefined,
    deletedAtMs: row.deletedAtMs ?? undefined,
  };
}
