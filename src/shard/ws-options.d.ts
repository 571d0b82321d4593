// What @types/ws 8.18 does not know of ws 8.23.
import 'ws';

declare module 'ws' {
  namespace WebSocket {
    interface ServerOptions {
      /** Milliseconds between `close()` and the forced end. */
      closeTimeout?: number;
      maxFragments?: number;
      maxBufferedChunks?: number;
      maxPendingAutoPongs?: number;
    }
  }
}
