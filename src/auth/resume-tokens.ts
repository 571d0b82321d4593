/**
 * The proof that a lost session was a client's own: random, and only its hash leaves the shard of the connection.
 * A JWT of the same user is needed beside it, so 128 bits are plenty.
 */
import { hash, randomBytes } from 'node:crypto';

const tokenBytes = 16;
/** Random bytes are drawn for so many tokens at a time: a system call for each would be half of the cost of a token. */
const drawnTokens = 256;

class SystemResumeTokens {
  #drawn = Buffer.alloc(0);

  next(): string {
    if (this.#drawn.length === 0) this.#drawn = randomBytes(tokenBytes * drawnTokens);
    const token = this.#drawn.toString('base64url', 0, tokenBytes);
    this.#drawn = this.#drawn.subarray(tokenBytes);
    return token;
  }

  hashOf(token: string): string {
    return hash('sha256', token, 'base64url');
  }
}

export const systemResumeTokens = new SystemResumeTokens();
