/**
 * How one device says that its user is, and what that makes of the user over all of them. Pure.
 * Called by attendance.ts, session handlers and user/user.ts.
 */
import type { PresenceStatus } from '#proto/fields.ts';
import type { UserId } from '#proto/names.ts';

/** What a client says of what it runs on; with an `id` it is remembered when it has left. */
export interface DeviceKind {
  id?: string;
  kind?: string;
  platform?: string;
}

/** How the user is on one device. */
export interface DevicePresence {
  /** As the client said. */
  status: PresenceStatus;
  /** Nothing was heard of its user for AWAY_AFTER. */
  isIdle: boolean;
  device?: DeviceKind | undefined;
  meta?: object | undefined;
}

/** A device that was there before. */
export interface GoneDevice extends DeviceKind {
  id: string;
  lastSeenMs: number;
}

export type VisibleStatus = 'online' | 'away' | 'busy' | 'offline';

/** How a user is, as others see it: the protocol's `presence`. */
export interface UserPresence {
  user: UserId;
  status: VisibleStatus;
  /** Wall clock, milliseconds; absent while a device is there, and where nobody knows. */
  lastSeen?: number;
  devices: (DeviceKind & { status: VisibleStatus; lastSeen?: number })[];
  meta?: object;
}

/** What a user was before. */
export interface Past {
  lastSeenMs: number | undefined;
  devices: readonly GoneDevice[];
}

export const noPast: Past = { lastSeenMs: undefined, devices: [] };
/** Of a session that has said nothing. */
export const plainPresence: DevicePresence = { status: 'online', isIdle: false };
/** Devices of before that are remembered of one user, the youngest. */
export const goneDevicesMax = 10;

/** Whoever is invisible on one device is so on all; then busy; online on one is online; away is who is away on all. */
export function statusOf(here: readonly DevicePresence[]): VisibleStatus {
  if (here.length === 0 || here.some(({ status }) => status === 'invisible')) return 'offline';
  if (here.some(({ status }) => status === 'busy')) return 'busy';
  return here.some((device) => deviceStatus(device) === 'online') ? 'online' : 'away';
}

export function presenceOf(user: UserId, here: readonly DevicePresence[], past: Past = noPast): UserPresence {
  const status = statusOf(here);
  const gone = past.devices.map(({ lastSeenMs, ...device }) => ({
    ...device,
    ...{ status: 'offline' as const, lastSeen: lastSeenMs },
  }));
  if (status === 'offline') {
    const { lastSeenMs } = past;
    return { user, status, ...(lastSeenMs === undefined ? {} : { lastSeen: lastSeenMs }), devices: gone };
  }
  const ids = new Set(here.map(({ device }) => device?.id));
  const devices = here.map((device) => ({ ...device.device, status: deviceStatus(device) }));
  const meta = here.findLast((device) => device.meta !== undefined)?.meta;
  return {
    ...{ user, status, devices: [...devices, ...gone.filter(({ id }) => !ids.has(id))] },
    ...(meta === undefined ? {} : { meta }),
  };
}

/** The youngest of both, each device once. */
export function mergedDevices(one: readonly GoneDevice[], other: readonly GoneDevice[]): GoneDevice[] {
  const youngest = new Map<string, GoneDevice>();
  for (const device of [...one, ...other].toSorted((a, b) => b.lastSeenMs - a.lastSeenMs)) {
    if (!youngest.has(device.id)) youngest.set(device.id, device);
  }
  return [...youngest.values()].slice(0, goneDevicesMax);
}

function deviceStatus({ status, isIdle }: DevicePresence): VisibleStatus {
  if (status === 'invisible') return 'offline';
  return status === 'online' && isIdle ? 'away' : status;
}
