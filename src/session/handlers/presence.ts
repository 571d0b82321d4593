/** `Presence`: how the user is on this device, told to the own home and to the topics that the user is a member of. */
import { presenceMetaBytesMax } from '#proto/limits.ts';
import { type Handler, refuse } from '../outcome.ts';

export const presence: Handler<'Presence'> = {
  handle({ session, phase }, { data }) {
    const { status, device = phase.presence.device, meta } = data;
    if (meta !== undefined && Buffer.byteLength(JSON.stringify(meta)) > presenceMetaBytesMax)
      return refuse('message_too_large', `data.meta has more than ${presenceMetaBytesMax} bytes as JSON`);
    session.setPresence({ status, isIdle: false, device, meta });
    return { do: 'reply', data: { status } };
  },
};
