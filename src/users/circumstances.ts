import type { EndedBy } from '../access/revocations.js';
import type { NewEvent } from '../audit/events.js';

/** Who did something to a person, and from where: for the Event. */
export interface Circumstances {
  /** A User id, `admin-token` or `system`; undefined: the person concerned. */
  readonly actor?: string | undefined;
  readonly ip?: string | null | undefined;
  readonly clientId?: string | null | undefined;
  readonly reference?: string | null | undefined;
}

/** An Event about a person; without an actor it was the person. */
export function aboutUser(
  type: string,
  userId: string,
  { actor, ...rest }: Circumstances & Pick<NewEvent, 'provider' | 'outcome' | 'detail'>,
): NewEvent {
  return { type, userId, actor: actor ?? userId, ...rest };
}

/** The same for the rooms that end what they keep of the person. */
export function endedBy(userId: string, reason: string, { actor, ip, reference }: Circumstances): EndedBy {
  return { actor: actor ?? userId, reason, ip: ip ?? undefined, reference: reference ?? undefined };
}
