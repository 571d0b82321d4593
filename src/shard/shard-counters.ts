/** What the actors count → cells of this shard's row. One place that knows both. */
import { closeLabels } from '../observe/metric-definitions.ts';
import type { MetricsRow } from '../observe/metrics-table.ts';
import type { AcceptanceCounters } from '../protect/recent-keys.ts';
import type { SessionCounters } from '../session/ports.ts';
import type { TopicCounters } from '../topic/ports.ts';
import type { UserCounters } from '../user/ports.ts';

/** `onWrite` hears of every write: it tells a busy shard from an idle one. */
export function sessionCounters(metrics: MetricsRow, onWrite: () => void): SessionCounters {
  return {
    opened() {
      metrics.add('connectionsActive');
      metrics.add('connectionsTotal');
    },
    closed(code) {
      metrics.add('connectionsActive', -1);
      const label = String(code);
      metrics.addTo('closes', closeLabels.includes(label) ? label : 'other');
    },
    received(envelopes, bytes) {
      metrics.addTo('messages', 'in', envelopes);
      metrics.addTo('bytes', 'in', bytes);
    },
    sent(frames, bytes) {
      metrics.addTo('messages', 'out', frames);
      metrics.addTo('bytes', 'out', bytes);
    },
    errored: (code) => metrics.addTo('errors', code),
    subscriptions: (change) => metrics.add('subscriptions', change),
    mailbox: (change) => metrics.addTo('mailboxSize', 'session', change),
    mailboxFull: (outcome) => metrics.addTo('mailboxFull', outcome),
    wrote() {
      metrics.add('writes');
      onWrite();
    },
    slowConsumer: () => metrics.add('slowConsumers'),
    dropped: (delivery, frames) => metrics.addTo('messagesDropped', delivery, frames),
    failed: () => metrics.add('sessionFailures'),
  };
}

/** For topics and users alike. */
export function acceptanceCounters(metrics: MetricsRow): AcceptanceCounters {
  return {
    accepted: () => metrics.addTo('publications', 'accepted'),
    duplicate: () => metrics.addTo('publications', 'duplicate'),
  };
}

export function topicCounters(metrics: MetricsRow): TopicCounters {
  return {
    ...acceptanceCounters(metrics),
    dropped: (what, count) => metrics.addTo('messagesDropped', what, count),
    expired: (count) => metrics.addTo('publications', 'expired', count),
    waiting: (change) => metrics.addTo('mailboxSize', 'topic', change),
  };
}

export function userCounters(metrics: MetricsRow): UserCounters {
  return {
    detached: (change) => metrics.add('sessionsDetached', change),
    resumed: (outcome) => metrics.addTo('sessionResumes', outcome),
    dropped: (what, count) => metrics.addTo('messagesDropped', what, count),
  };
}
