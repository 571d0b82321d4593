/** Message ids: UUIDv7 (RFC 9562), so that they sort by time and fit a `uuid` column. */
import { uuidv7 } from 'uuidv7';

export interface MessageIds {
  next(): string;
}

export const systemMessageIds: MessageIds = { next: uuidv7 };
