/**
 * Search by FTS5.
 * Thread: store. Called by sqlite-history-store.ts. Ranks are bm25 (https://sqlite.org/fts5.html#the_bm25_function), with
 * the sign turned so that larger is better.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { TopicName } from '#proto/names.ts';
import type { SearchPage, SearchRequest } from '../history-store.ts';
import type { SearchTerm, SearchTerms } from '../search-terms.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';

type FoundRow = MessageRow & { topicName: TopicName; rank: number };

/** GLOB is made anew for each request: the number of patterns differs. */
export function searchMessages(database: DatabaseSync, request: SearchRequest): SearchPage {
  const { tenant, terms, within, without, inbox, peer, from, limit } = request;
  const inTopics = ['0', ...within.map(() => 't.name GLOB ?')].join(' OR ');
  const notIn = without.map(() => ' AND NOT t.name GLOB ?').join('');
  const sql = `SELECT t.name AS topicName, ${messageColumns}, -bm25(message_words) AS rank
    FROM message_words AS w
      JOIN messages AS m ON m.topic_id = w.rowid >> 40 AND m."offset" = w.rowid & ((1 << 40) - 1)
      JOIN topics AS t ON t.topic_id = m.topic_id
    WHERE w.message_words MATCH ? AND t.tenant = ? AND (t.name = ? OR (${inTopics})${notIn})
      ${peer === undefined ? '' : 'AND m.peer = ?'} ${from === undefined ? '' : 'AND m.sender = ?'}
    ORDER BY rank DESC, m.created_at DESC LIMIT ?`;
  const rows = database
    .prepare(sql)
    .all(
      ...[matchOf(terms), tenant, inbox ?? null, ...within.map(globOf), ...without.map(globOf)],
      ...[peer, from].filter((value) => value !== undefined),
      limit + 1,
    ) as unknown as FoundRow[];
  const messages = rows
    .slice(0, limit)
    .map((row) => ({ topic: row.topicName, message: messageOf(row), rank: row.rank }));
  return { messages, hasMore: rows.length > limit };
}

/** Everything is quoted: no word of a person is an operator of FTS5. NUL would end the question in its middle. */
function matchOf(terms: SearchTerms): string {
  return terms
    .map((group) => {
      const [wanted, excluded] = [
        group.filter((term) => !term.isExcluded),
        group.filter((term) => term.isExcluded),
      ];
      const all = wanted.map(quoted).join(' AND ');
      return excluded.reduce((match, term) => `(${match}) NOT ${quoted(term)}`, `(${all})`);
    })
    .map((group) => `(${group})`)
    .join(' OR ');
}

function quoted({ text }: SearchTerm): string {
  return `"${text.replaceAll('\u0000', ' ').replaceAll('"', '""')}"`;
}

/** `*` means the same; the other signs of GLOB are meant as they are. */
export function globOf(pattern: string): string {
  return pattern.replaceAll(/[[?]/g, (sign) => `[${sign}]`);
}
