import type { z } from 'zod';
import { type PersonalTokenRow } from '../access/personal-token.entity.js';
import { statusOfPersonalToken } from '../access/personal-token-list.js';
import type { EventRow } from '../audit/event.entity.js';
import type { ListedFlow } from '../audit/flow-list.js';
import { remedyOf } from '../audit/remedies.js';
import type { ClientRow } from '../oauth/client.entity.js';
import { redirectUrisOf } from '../oauth/clients.js';
import type { ListedGrant } from '../oauth/grant-list.js';
import type { SigningKey } from '../oauth/signing-keys.js';
import type { Person } from '../users/user-list.js';
import type { clientSchema } from './client-schemas.js';
import type { eventSchema } from './event-schemas.js';
import type { flowSchema } from './flow-schemas.js';
import type { grantSchema } from './grant-schemas.js';
import type { keySchema } from './system-schemas.js';
import type { tokenSchema } from './token-schemas.js';
import type { userSchema } from './user-schemas.js';
import { isoOfSeconds, isoOrNull } from './values.js';

/** A person as the admin API shows them. */
export function userFacts({ user, identities }: Person): z.input<typeof userSchema> {
  return {
    id: user.id,
    name: user.name,
    email: user.email,
    avatar: user.avatar,
    status: user.status,
    roles: user.roles,
    identities: identities.map((identity) => ({
      provider: identity.provider,
      subject: identity.subject,
      username: identity.username,
      email: identity.email,
      created_at: isoOfSeconds(identity.createdAt),
      last_used_at: isoOfSeconds(identity.lastUsedAt),
    })),
    created_at: isoOfSeconds(user.createdAt),
    last_seen_at: isoOfSeconds(user.lastSeenAt),
  };
}

/** A Grant as the admin API shows it. */
export function grantFacts(grant: ListedGrant): z.input<typeof grantSchema> {
  return {
    id: grant.id,
    user: grant.user,
    client: grant.client,
    provider: grant.provider,
    scopes: [...grant.scopes],
    resource: grant.resource,
    status: grant.status,
    created_at: isoOfSeconds(grant.createdAt),
    last_used_at: isoOrNull(grant.lastUsedAt),
    expires_at: isoOfSeconds(grant.expiresAt),
    revoked_at: isoOrNull(grant.revokedAt),
    reference: grant.reference,
  };
}

/** A personal token as the admin API shows it: neither the token nor its hash. */
export function tokenFacts(row: PersonalTokenRow): z.input<typeof tokenSchema> {
  return {
    id: row.id,
    name: row.name,
    hint: row.hint,
    user: row.userId,
    scopes: row.scopes,
    status: statusOfPersonalToken(row),
    created_at: isoOfSeconds(row.createdAt),
    expires_at: isoOrNull(row.expiresAt),
    last_used_at: isoOrNull(row.lastUsedAt),
    revoked_at: isoOrNull(row.revokedAt),
  };
}

/** A Client as the admin API shows it: no secret, not even its hash. */
export function clientFacts(row: ClientRow): z.input<typeof clientSchema> {
  const uri = row.metadata['client_uri'];
  const method = row.metadata['token_endpoint_auth_method'];
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    source: row.source,
    redirect_uris: [...redirectUrisOf(row)],
    scopes: row.allowedScopes,
    note: row.note,
    trusted: row.trusted,
    token_endpoint_auth_method: typeof method === 'string' ? method : 'none',
    client_uri: typeof uri === 'string' ? uri : null,
    created_at: isoOfSeconds(row.createdAt),
    last_used_at: isoOrNull(row.lastUsedAt),
  };
}

/** An Event as the admin API shows it. */
export function eventFacts(row: EventRow): z.input<typeof eventSchema> {
  return {
    id: row.id,
    at: new Date(row.at).toISOString(),
    type: row.type,
    outcome: row.outcome,
    actor: row.actor,
    user: row.userId,
    client: row.clientId,
    grant: row.grantId,
    provider: row.provider,
    ip: row.ip,
    reference: row.reference,
    detail: row.detail,
  };
}

/** A trace as the admin API shows it. */
export function flowFacts(flow: ListedFlow): z.input<typeof flowSchema> {
  const startedAt = Math.min(flow.updatedAt, ...flow.steps.map(({ at }) => at));
  return {
    id: flow.id,
    reference: flow.reference,
    client: flow.clientId,
    recognised: flow.recognised,
    user: flow.userId,
    grant: flow.grantId,
    provider: flow.provider,
    ip: flow.ip,
    outcome: flow.outcome,
    failed_check: flow.failedCheck,
    mend: remedyOf(flow.failedCheck),
    started_at: new Date(startedAt).toISOString(),
    updated_at: new Date(flow.updatedAt).toISOString(),
    steps: flow.steps.map(({ at, step, outcome, failedCheck, detail }) => ({
      at: new Date(at).toISOString(),
      step,
      outcome,
      failed_check: failedCheck,
      mend: remedyOf(failedCheck),
      detail,
    })),
  };
}

/** A signing key as the admin API shows it. */
export function keyFacts(key: SigningKey, now = Date.now() / 1000): z.input<typeof keySchema> {
  return {
    kid: key.kid,
    alg: key.alg,
    status: key.signsFrom > now ? 'announced' : key.expiresAt === null ? 'signing' : 'retiring',
    created_at: isoOfSeconds(key.createdAt),
    signs_from: isoOfSeconds(key.signsFrom),
    expires_at: isoOrNull(key.expiresAt),
  };
}
