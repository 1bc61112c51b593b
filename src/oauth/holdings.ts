import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { sql } from '../persistence/statement.js';
import { eventsOfEnds } from './grant-events.js';

/** What the authorization server keeps of a person. A Grant is touched before its Tokens: the other order deadlocks against `/token` on Postgres. */
@Injectable()
export class OauthHoldings {
  constructor(@Inject(Revocations) revocations: Revocations) {
    revocations.hold({
      cutOff: (userId, by) => [
        eventsOfEnds({ userId }, by),
        sql`UPDATE oauth_grant SET revoked_at = ${Math.floor(Date.now() / 1000)} WHERE user_id = ${userId} AND revoked_at IS NULL`,
        sql`DELETE FROM oauth_token WHERE user_id = ${userId}`,
        sql`DELETE FROM oauth_consent WHERE user_id = ${userId}`,
        sql`DELETE FROM oauth_browser WHERE user_id = ${userId}`,
        sql`DELETE FROM oauth_interaction WHERE user_id = ${userId}`,
      ],
      erase: (userId, by) => [
        eventsOfEnds({ userId }, by),
        sql`DELETE FROM oauth_grant WHERE user_id = ${userId}`,
        sql`DELETE FROM oauth_token WHERE user_id = ${userId}`,
        sql`DELETE FROM oauth_consent WHERE user_id = ${userId}`,
        sql`DELETE FROM oauth_browser WHERE user_id = ${userId}`,
        sql`DELETE FROM oauth_interaction WHERE user_id = ${userId}`,
        sql`DELETE FROM upstream_token WHERE user_id = ${userId}`,
      ],
    });
  }
}
