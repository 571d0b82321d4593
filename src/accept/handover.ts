/**
 * Moves an accepted socket to a shard, and to another one when the first is gone.
 * Thread: primary. Called by listener.ts. A post to a thread that has exited is silently lost (reliability reference,
 * finding 3): the directory says whether the socket really left.
 */
import type { Socket } from 'node:net';
import type { AdmissionVerdict } from '#proto/control.ts';
import type { ShardId } from '#proto/names.ts';
import type { Admission } from './admission.ts';
import type { Placement } from './placement.ts';
import type { ShardDirectory } from './ports.ts';

/** 'nowhere': no shard could take it, and it was destroyed. */
export function handOver(
  socket: Socket,
  peer: { address: string; port: number },
  verdict: AdmissionVerdict,
  { shards, placement, admission }: { shards: ShardDirectory; placement: Placement; admission: Admission },
): 'handed over' | 'nowhere' {
  const candidates = placement.candidates(`${peer.address}|${peer.port}`, (shard: ShardId) =>
    admission.countOf(shard),
  );
  for (const shard of candidates) {
    if (!shards.isUp(shard) || !shards.tryHandOver(shard, socket, peer.address, verdict)) continue;
    admission.onHandedOver(shard, peer.address);
    return 'handed over';
  }
  socket.destroy();
  return 'nowhere';
}
