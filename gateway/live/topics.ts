/** Names of topics, how often each is told, and which right each needs. What is not named here is not there. */
import { may, type Right } from '../auth/rights.ts';
import { topicIdOf } from './command_topics.ts';
import { topicKinds, type Topic, type TopicKind, type Viewer } from './source.ts';

/**
 * `about`: what stands behind the colon. The ids of `me`, `command` and `health` are made here, of the one who asks, so
 * that no name of a topic leads to another user. `needs` null: whoever is signed in. Lists get new values at most four
 * times a second, single things ten times.
 */
export const topicRules = {
  tree: { about: 'entity', needs: 'view_site', everyMs: 250 },
  station: { about: 'entity', needs: 'view_station', everyMs: 100 },
  charger: { about: 'entity', needs: 'view_charger', everyMs: 100 },
  me: { about: 'viewer', needs: null, everyMs: 100 },
  command: { about: 'command', needs: null, everyMs: 100 },
  health: { about: 'nothing', needs: 'view_health', everyMs: 250 },
} as const satisfies Record<
  TopicKind,
  { about: 'entity' | 'viewer' | 'command' | 'nothing'; needs: Right | null; everyMs: number }
>;

/** Ids are printable: no control character, at most 128 characters. */
const idForm = /^[^\p{Cc}]{1,128}$/u;

/** undefined: no such kind of topic. */
export function parseTopic(name: string, { user }: Viewer): Topic | undefined {
  const colon = name.indexOf(':');
  const kind = topicKinds.find((kind) => kind === (colon < 0 ? name : name.slice(0, colon)));
  if (kind === undefined) return undefined;
  const id = colon < 0 ? null : name.slice(colon + 1);
  switch (topicRules[kind].about) {
    case 'entity':
      return id !== null && id !== '' ? { kind, id, name } : undefined;
    case 'viewer':
      return id === null ? { kind, id: user, name } : undefined;
    case 'command':
      return id !== null && idForm.test(id) ? { kind, id: topicIdOf(user, id), name } : undefined;
    case 'nothing':
      return id === null ? { kind, id: '', name } : undefined;
    default:
      return topicRules[kind] satisfies never;
  }
}

/** The right that is missing for the topic; null: none. */
export function missingRight({ kind }: Topic, { roles }: Viewer): Right | null {
  const { needs } = topicRules[kind];
  return needs === null || may(roles, needs) ? null : needs;
}

/** Whether the row is shown: those about single chargers name them, and the tags that charge there. */
export const shows = (topic: Topic, key: string, viewer: Viewer): boolean =>
  !isAboutCharger(topic, key) || may(viewer.roles, 'view_charger');

/** Whether the topic shows one as much as the other. */
export const showsAlike = (topic: Topic, one: Viewer, other: Viewer): boolean =>
  !hasChargers(topic) || may(one.roles, 'view_charger') === may(other.roles, 'view_charger');

const hasChargers = ({ kind }: Topic) => kind === 'station' || kind === 'tree';

function isAboutCharger({ kind }: Topic, key: string): boolean {
  if (kind === 'station') return key !== 'station';
  return kind === 'tree' && key.startsWith('charger:');
}
