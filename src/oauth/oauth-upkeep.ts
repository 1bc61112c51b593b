import { Inject, Injectable } from '@nestjs/common';
import { ProofIds } from '../access/proof-ids.js';
import { Usage } from '../access/usage.js';
import { Flows } from '../audit/flows.js';
import { sql, type Statement } from '../persistence/statement.js';
import { Purge } from '../persistence/purge.js';
import { Attempts } from './attempts.js';
import { UNUSED_SECONDS } from './clients.js';
import { Tokens } from './tokens.js';

/** Rows go this many seconds after they are over: nodes' clocks differ. */
const LATE = 60;

/** Last-used times, and the end of everything that is over. */
@Injectable()
export class OauthUpkeep {
  constructor(
    @Inject(Purge) purge: Purge,
    @Inject(Usage) usage: Usage,
    @Inject(Tokens) tokens: Tokens,
    @Inject(ProofIds) proofIds: ProofIds,
    @Inject(Flows) flows: Flows,
    @Inject(Attempts) attempts: Attempts,
  ) {
    usage.addWriter(
      ({ grantId, client }, at) =>
        grantId === undefined
          ? []
          : [
              sql`UPDATE oauth_grant SET last_used_at = ${at} WHERE id = ${grantId}`,
              sql`UPDATE oauth_client SET last_used_at = ${at} WHERE id = ${client}`,
              ...flows.firstCall(grantId, at),
            ],
      () => flows.settled(),
    );
    for (const [name, statement] of jobs()) purge.add({ name, statement });
    // Not in batches: there are few at a time, found by their own index.
    purge.add({ name: 'answers of refresh tokens', statement: () => tokens.eraseAnswers() });
    purge.add({ name: 'used proof ids', statement: () => proofIds.purge() });
    purge.add({ name: 'tries at providers', statement: () => attempts.purge() });
  }
}

const over = (seconds = LATE): number => Math.floor(Date.now() / 1000) - seconds;

function jobs(): [string, (batch: number) => Statement][] {
  return [
    [
      'tokens',
      (batch) =>
        sql`DELETE FROM oauth_token WHERE id_hash IN (SELECT id_hash FROM oauth_token WHERE expires_at < ${over()} ORDER BY expires_at LIMIT ${batch})`,
    ],
    [
      'interactions',
      (batch) =>
        sql`DELETE FROM oauth_interaction WHERE id IN (SELECT id FROM oauth_interaction WHERE expires_at < ${over()} ORDER BY expires_at LIMIT ${batch})`,
    ],
    [
      'browsers',
      (batch) =>
        sql`DELETE FROM oauth_browser WHERE id_hash IN (SELECT id_hash FROM oauth_browser WHERE expires_at < ${over()} ORDER BY expires_at LIMIT ${batch})`,
    ],
    [
      'grants',
      (batch) =>
        sql`DELETE FROM oauth_grant WHERE id IN (SELECT id FROM oauth_grant WHERE expires_at < ${over()} ORDER BY expires_at LIMIT ${batch})`,
    ],
    [
      'unused clients',
      (batch) =>
        sql`DELETE FROM oauth_client WHERE id IN (SELECT c.id FROM oauth_client c LEFT JOIN oauth_grant g ON g.client_id = c.id
          WHERE c.source = ${'dcr'} AND c.last_used_at IS NULL AND c.created_at < ${over(UNUSED_SECONDS)} AND c.trusted = ${false} AND g.id IS NULL LIMIT ${batch})`,
    ],
    ['metadata documents', () => sql`DELETE FROM cimd_document WHERE fetched_at < ${over(31 * 86_400)}`],
    ['signing keys', () => sql`DELETE FROM signing_key WHERE expires_at < ${over()}`],
  ];
}
