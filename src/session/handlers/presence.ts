/** `Presence`: how the user is on this device, told to the own home and to the topics that the user is a member of. */
import { presenceMetaBytesMax } from '#proto/limits.ts';
import type { DeviceKind } from '../../presence/device-presence.ts';
import { type Handler, refuse } from '../outcome.ts';

export const presence: Handler<'Presence'> = {
  handle({ session, phase }, { data }) {
    const { status, meta } = data;
    const device = data.device === undefined ? phase.presence.device : knownFields(data.device);
    if (meta !== undefined && Buffer.byteLength(JSON.stringify(meta)) > presenceMetaBytesMax)
      return refuse('message_too_large', `data.meta has more than ${presenceMetaBytesMax} bytes as JSON`);
    session.setPresence({ status, isIdle: false, device, meta });
    return { do: 'reply', data: { status } };

    /** Of what a client says of its device, all else is left out: others would be told of it. */
    function knownFields({ id, kind, platform }: DeviceKind): DeviceKind {
      return {
        ...(id === undefined ? {} : { id }),
        ...(kind === undefined ? {} : { kind }),
        ...(platform === undefined ? {} : { platform }),
      };
    }
  },
};
