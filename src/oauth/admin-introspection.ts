import { timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Settings } from '../config/settings.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { parseAuthorization } from '../protocol/bearer.js';
import { scopesOfToken } from '../protocol/scope.js';
import { sha256 } from '../protocol/token.js';
import { sendOauthError } from './oauth-hooks.js';

interface Row {
  kind: string;
  payload: string;
  resource: string;
  widened: string | null;
  allowed_scopes: string | null;
}

/** Of a token's payload. */
interface Facts extends Readonly<Record<string, unknown>> {
  readonly scope?: string;
  readonly left_out?: string;
}

/** Introspection (RFC 7662) by the bearer of `GATEHOUSE_ADMIN_TOKEN`: any access or refresh token of ours. Clients ask the engine, about their own. */
@Injectable()
export class AdminIntrospection {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Database) private readonly database: Database,
  ) {}

  /** Does the request carry a bearer token instead of a client's credentials? */
  concerns(request: FastifyRequest): boolean {
    return parseAuthorization(request.headers.authorization)?.scheme === 'bearer';
  }

  /** Answers it. @throws DatabaseUnavailable */
  async answer(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!this.#isAdministrator(request)) {
      void reply.header('www-authenticate', 'Bearer error="invalid_token"');
      return sendOauthError(reply, 401, {
        error: 'invalid_token',
        error_description: 'the bearer token is not accepted here',
      });
    }
    const token = (request.body as { token?: unknown } | null | undefined)?.token;
    if (typeof token !== 'string' || token === '')
      return sendOauthError(reply, 400, {
        error: 'invalid_request',
        error_description: 'missing required parameter(s) token',
      });
    void reply
      .headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
      .send(await this.#facts(token));
  }

  async #facts(token: string): Promise<Record<string, unknown>> {
    const time = Math.floor(Date.now() / 1000);
    const row = await this.database.row<Row>(
      sql`SELECT t.kind, t.payload, g.resource, g.widened, c.allowed_scopes FROM oauth_token t
        JOIN oauth_grant g ON g.id = t.grant_id JOIN gatehouse_user u ON u.id = g.user_id JOIN oauth_client c ON c.id = g.client_id
        WHERE t.id_hash = ${sha256(token)} AND t.kind IN (${'AccessToken'}, ${'RefreshToken'})
          AND t.consumed_at IS NULL AND t.expires_at > ${time} AND g.revoked_at IS NULL AND u.status = ${'active'} AND c.status = ${'active'}`,
    );
    if (!row) return { active: false };
    const facts = JSON.parse(row.payload) as Facts;
    const { jkt } = facts;
    return {
      active: true,
      iss: this.settings.publicUrl,
      sub: facts['accountId'],
      client_id: facts['clientId'],
      scope: scopesOfToken({
        scope: facts.scope,
        widened: row.widened,
        leftOut: facts.left_out,
        limit: row.allowed_scopes === null ? null : (JSON.parse(row.allowed_scopes) as string[]),
      }).join(' '),
      aud: facts['aud'] ?? row.resource,
      iat: facts['iat'],
      exp: facts['exp'],
      ...(row.kind === 'AccessToken' ? { token_type: jkt === undefined ? 'Bearer' : 'DPoP' } : {}),
      ...(jkt === undefined ? {} : { cnf: { jkt } }),
    };
  }

  #isAdministrator(request: FastifyRequest): boolean {
    const expected = this.settings.values.adminToken;
    const given = parseAuthorization(request.headers.authorization)?.value;
    if (expected === undefined || given === undefined) return false;
    return timingSafeEqual(Buffer.from(sha256(expected)), Buffer.from(sha256(given)));
  }
}
