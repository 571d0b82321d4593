/**
 * A socket from another thread → one that is as quick as if it had been accepted here, and tells its first bytes.
 * Thread: shard. Called by socket-intake.ts, once per socket, before anybody listens to it.
 * Node 24 rebuilds a transferred socket as an object in dictionary mode: 1.3 kB more, and every access to one of its
 * properties is a hash lookup. A new Socket over the same handle has the usual shape, and can share a read buffer.
 * `_handle` and the option `handle` are not documented: test/unit/shard/arrived-socket.test.ts fails should Node change
 * them, and without them the socket is used as it came.
 */
import { Socket } from 'node:net';

interface WithHandle {
  _handle: object | null;
}

/** One read at a time, in one buffer of the thread. Node would allocate 64 KiB for each read, and give most of it back. */
const onread = {
  buffer: Buffer.allocUnsafeSlow(64 * 1024),
  /** Called on the socket, so that one function serves them all; the bytes are copied, since the buffer is used again. */
  callback(this: ArrivedSocket, bytesRead: number, buffer: Uint8Array): boolean {
    const bytes = Buffer.from(buffer.subarray(0, bytesRead));
    const { firstBytesReader } = this;
    if (firstBytesReader === undefined) return handOn(this, bytes);
    this.firstBytesReader = undefined;
    firstBytesReader.onFirstBytes(bytes);
    return false;
  },
};

/** Gets what is read first, instead of the stream; nothing more is read until somebody asks the stream. */
export interface FirstBytesReader {
  onFirstBytes(bytes: Buffer): void;
}

export class ArrivedSocket extends Socket {
  /** Until it has got them. */
  firstBytesReader: FirstBytesReader | undefined;
}

/**
 * `arrived` must not be used afterwards. The new one is paused, and nothing was read. `allowHalfOpen`: it does not end by
 * itself when its client has ended.
 */
export function reshape(arrived: Socket, { allowHalfOpen }: { allowHalfOpen: boolean }): Socket {
  const { _handle: handle } = arrived as Socket & WithHandle;
  if (!handle) return arrived;
  (arrived as Socket & WithHandle)._handle = null;
  return new ArrivedSocket({ handle, allowHalfOpen, pauseOnCreate: true, onread } as object);
}

/**
 * What `push` does with a stream that flows and holds nothing, without what that looks at and asks for later: a twentieth of
 * what a direct message costs. False: nothing more for now. Who pauses the socket stops the reading by that.
 */
function handOn(socket: ArrivedSocket, bytes: Buffer): boolean {
  if (socket.readableFlowing !== true || socket.readableLength > 0) return socket.push(bytes);
  socket.emit('data', bytes);
  return true;
}
