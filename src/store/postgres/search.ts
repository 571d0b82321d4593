/**
 * Search by PostgreSQL's text search.
 * Thread: store. Called by postgres-history-store.ts. Ranks are `ts_rank`, less for longer texts.
 */
import type { TopicName } from '#proto/names.ts';
import type { SearchPage, SearchRequest } from '../history-store.ts';
import type { SearchTerms } from '../search-terms.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';
import { searchWords } from './search-words.ts';
import type { Sql } from './sql.ts';

type FoundRow = MessageRow & { topicName: TopicName; rank: number };

/** Of `ts_rank`: by the logarithm of the length. */
const rankNormalization = 1;

export async function searchMessages(
  sql: Sql,
  request: SearchRequest,
  searchLanguage: string,
): Promise<SearchPage> {
  const { tenant, terms, within, without, inbox, peer, from, limit } = request;
  const values: unknown[] = [];
  const put = (value: unknown) => `$${values.push(value)}`;
  const query = queryOf(terms, `${put(searchLanguage)}::text::regconfig`, put);
  const text = `SELECT t.name AS "topicName", ${messageColumns}, ts_rank(m.words, ${query}, ${rankNormalization}) AS rank
    FROM messages AS m JOIN topics AS t USING (topic_id)
    WHERE m.words @@ ${query} AND t.tenant = ${put(tenant)}
      AND (t.name = ${put(inbox ?? null)}::text OR (t.name LIKE ANY (${put(within.map(likeOf))}::text[])
        AND NOT t.name LIKE ANY (${put(without.map(likeOf))}::text[])))
      ${peer === undefined ? '' : `AND m.peer = ${put(peer)}`} ${from === undefined ? '' : `AND m.sender = ${put(from)}`}
    ORDER BY rank DESC, m.created_at DESC LIMIT ${put(limit + 1)}`;
  const rows = await sql.all<FoundRow>(text, values);
  const messages = rows
    .slice(0, limit)
    .map((row) => ({ topic: row.topicName, message: messageOf(row), rank: row.rank }));
  return { messages, hasMore: rows.length > limit };
}

/** Words of people are parameters only. A term is a phrase: one of a single word is that word. */
function queryOf(terms: SearchTerms, language: string, put: (value: unknown) => string): string {
  const groups = terms.map((group) => {
    const all = group.map(
      ({ text, isExcluded }) =>
        `${isExcluded ? '!!' : ''}phraseto_tsquery(${language}, ${put(searchWords(text))})`,
    );
    return `(${all.join(' && ')})`;
  });
  return `(${groups.join(' || ')})`;
}

/** `*` is `%`; the signs of LIKE are meant as they are. */
function likeOf(pattern: string): string {
  return pattern.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`).replaceAll('*', '%');
}
