import { Inject } from '@nestjs/common';
import { PersonalTokenList } from '../access/personal-token-list.js';
import { PersonalTokens } from '../access/personal-tokens.js';
import { Users } from '../users/users.js';
import { readCursor, writeCursor } from './cursor.js';
import { tokenFacts } from './facts.js';
import { AdminApi, type Answer, type Ask, operation, Serves } from './operation.js';
import { notFound, Problem } from './problem.js';
import { pageOf } from './paging.js';
import { newTokenSchema, tokenQuery, tokenSchema, tokenWish } from './token-schemas.js';
import { idParams } from './values.js';

/** GET /tokens */
export const listTokens = operation({
  id: 'listTokens',
  method: 'get',
  path: '/tokens',
  tag: 'Personal tokens',
  summary: 'Personal tokens, newest first',
  query: tokenQuery,
  status: 200,
  answer: pageOf(tokenSchema),
});

/** POST /tokens */
export const createToken = operation({
  id: 'createToken',
  method: 'post',
  path: '/tokens',
  tag: 'Personal tokens',
  summary: 'Make a personal token; the answer alone holds it',
  body: tokenWish,
  status: 201,
  answer: newTokenSchema,
});

/** GET /tokens/:id */
export const getToken = operation({
  id: 'getToken',
  method: 'get',
  path: '/tokens/:id',
  tag: 'Personal tokens',
  summary: 'One personal token',
  params: idParams,
  status: 200,
  answer: tokenSchema,
  problems: [404],
});

/** DELETE /tokens/:id */
export const revokeToken = operation({
  id: 'revokeToken',
  method: 'delete',
  path: '/tokens/:id',
  tag: 'Personal tokens',
  summary: 'Revoke a personal token',
  params: idParams,
  status: 204,
  answer: null,
  problems: [404],
});

/** `/admin/v1/tokens`. */
@AdminApi()
export class TokensController {
  constructor(
    @Inject(PersonalTokens) private readonly tokens: PersonalTokens,
    @Inject(PersonalTokenList) private readonly list: PersonalTokenList,
    @Inject(Users) private readonly users: Users,
  ) {}

  @Serves(listTokens)
  async page({ query: { limit, cursor, ...filter } }: Ask<typeof listTokens>): Promise<Answer<typeof listTokens>> {
    const { items, next } = await this.list.page(filter, { after: readCursor('tokens', cursor), limit });
    return { items: items.map(tokenFacts), next_cursor: next && writeCursor('tokens', next) };
  }

  @Serves(createToken)
  async create({ body, by, reply }: Ask<typeof createToken>): Promise<Answer<typeof createToken>> {
    const { name, user, scopes, expires_at: wanted } = body;
    const expiresAt = typeof wanted === 'string' ? Math.floor(Date.parse(wanted) / 1000) : wanted;
    if (expiresAt !== null && expiresAt <= Date.now() / 1000) throw unfit('body.expires_at', 'is in the past');
    if (user !== null && (await this.users.find(user))?.status !== 'active')
      throw unfit('body.user', 'is no active user');
    const { row, token } = await this.tokens.create({ name, userId: user, scopes, expiresAt, ...by });
    reply.header('location', `/admin/v1/tokens/${row.id}`);
    return { ...tokenFacts(row), token };
  }

  @Serves(getToken)
  async one({ params }: Ask<typeof getToken>): Promise<Answer<typeof getToken>> {
    const row = await this.list.find(params.id);
    if (!row) throw notFound('token');
    return tokenFacts(row);
  }

  @Serves(revokeToken)
  async revoke({ params, by }: Ask<typeof revokeToken>): Promise<undefined> {
    if (!(await this.list.find(params.id))) throw notFound('token');
    await this.tokens.revoke(params.id, by);
  }
}

function unfit(at: string, message: string): Problem {
  return new Problem(400, 'The body of the request is not valid.', { faults: [{ at, message }] });
}
