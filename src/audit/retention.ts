import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { Settings } from '../config/settings.js';
import { sql } from '../persistence/statement.js';
import { Purge } from '../persistence/purge.js';
import { timeIdFloor } from '../protocol/time-id.js';
import { FLOW_SECONDS, FLOWS_KEPT } from './flows.js';

/** Forgets Events after `GATEHOUSE_AUDIT_RETENTION`, and traces of sign-ins after a week or when there are too many. */
@Injectable()
export class Retention {
  constructor(
    @Inject(Purge) purge: Purge,
    @Inject(Settings) settings: Settings,
    @Inject(Revocations) revocations: Revocations,
  ) {
    // The bare id stays in the Events as a pseudonym: it leads to nobody once the person's row is gone.
    revocations.hold({
      cutOff: () => [],
      erase: (userId) => [
        sql`UPDATE event SET ip = NULL, detail = NULL WHERE user_id = ${userId}`,
        sql`UPDATE event SET ip = NULL WHERE actor = ${userId}`,
        sql`DELETE FROM flow_step WHERE reference IN (SELECT reference FROM flow WHERE user_id = ${userId})`,
        sql`DELETE FROM flow WHERE user_id = ${userId}`,
      ],
    });
    const ago = (seconds: number): string => timeIdFloor(Date.now() - seconds * 1000);
    purge.add({
      name: 'events',
      statement: (batch) =>
        sql`DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id < ${ago(settings.values.auditRetention)} ORDER BY id LIMIT ${batch})`,
    });
    purge.add({
      name: 'flow steps',
      statement: (batch) =>
        sql`DELETE FROM flow_step WHERE id IN (SELECT id FROM flow_step WHERE id < ${ago(FLOW_SECONDS)} ORDER BY id LIMIT ${batch})`,
    });
    purge.add({
      name: 'flows',
      statement: (batch) =>
        sql`DELETE FROM flow WHERE id IN (SELECT id FROM flow WHERE id < ${ago(FLOW_SECONDS)} ORDER BY id LIMIT ${batch})`,
    });
    purge.add({
      name: 'flows beyond the cap',
      statement: (batch) =>
        sql`DELETE FROM flow WHERE id IN (SELECT id FROM flow WHERE id <= (SELECT id FROM flow ORDER BY id DESC LIMIT 1 OFFSET ${FLOWS_KEPT}) ORDER BY id LIMIT ${batch})`,
    });
    purge.add({
      name: 'steps of no flow',
      statement: (batch) =>
        sql`DELETE FROM flow_step WHERE id IN (SELECT s.id FROM flow_step s LEFT JOIN flow f ON f.reference = s.reference WHERE f.id IS NULL ORDER BY s.id LIMIT ${batch})`,
    });
  }
}
