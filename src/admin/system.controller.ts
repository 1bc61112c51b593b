import { Inject } from '@nestjs/common';
import { FlowList } from '../audit/flow-list.js';
import { SigningKeys } from '../oauth/signing-keys.js';
import { pageOfWhole, readCursor, writeCursor } from './cursor.js';
import { flowFacts, keyFacts } from './facts.js';
import { AdminApi, type Answer, type Ask, operation, Serves } from './operation.js';
import { ProviderFacts } from './provider-facts.js';
import { flowQuery, flowSchema } from './flow-schemas.js';
import { listQuery, pageOf } from './paging.js';
import { keySchema, providerSchema, statsSchema } from './system-schemas.js';
import { Stats } from './stats.js';

/** GET /providers */
export const listProviders = operation({
  id: 'listProviders',
  method: 'get',
  path: '/providers',
  tag: 'System',
  summary: 'The enabled providers, and whether each answers now',
  query: listQuery,
  status: 200,
  answer: pageOf(providerSchema),
});

/** GET /keys */
export const listKeys = operation({
  id: 'listKeys',
  method: 'get',
  path: '/keys',
  tag: 'System',
  summary: 'Published signing keys, newest first',
  query: listQuery,
  status: 200,
  answer: pageOf(keySchema),
});

/** POST /keys/rotate */
export const rotateKeys = operation({
  id: 'rotateKeys',
  method: 'post',
  path: '/keys/rotate',
  tag: 'System',
  summary: 'Make a new signing key',
  description: 'It is published at once and signs when every cache has seen it; the old one stays published for a day.',
  status: 201,
  answer: keySchema,
});

/** GET /flows */
export const listFlows = operation({
  id: 'listFlows',
  method: 'get',
  path: '/flows',
  tag: 'System',
  summary: 'Traces of sign-in attempts of the last week, newest first',
  description: 'Search by the reference id that an error page showed; the failing check says how to mend it.',
  query: flowQuery,
  status: 200,
  answer: pageOf(flowSchema),
});

/** GET /stats */
export const getStats = operation({
  id: 'getStats',
  method: 'get',
  path: '/stats',
  tag: 'System',
  summary: 'Counts and rates for the last hour, day and 30 days',
  status: 200,
  answer: statsSchema,
});

/** Providers, signing keys, traces and statistics. */
@AdminApi()
export class SystemController {
  constructor(
    @Inject(ProviderFacts) private readonly providers: ProviderFacts,
    @Inject(SigningKeys) private readonly keys: SigningKeys,
    @Inject(FlowList) private readonly flows: FlowList,
    @Inject(Stats) private readonly stats: Stats,
  ) {}

  @Serves(listProviders)
  async providersNow({ query }: Ask<typeof listProviders>): Promise<Answer<typeof listProviders>> {
    return pageOfWhole('providers', await this.providers.all(), {
      idOf: ({ id }) => id,
      limit: query.limit,
      cursor: query.cursor,
    });
  }

  @Serves(listKeys)
  async allKeys({ query }: Ask<typeof listKeys>): Promise<Answer<typeof listKeys>> {
    const keys = (await this.keys.all()).map((key) => keyFacts(key));
    return pageOfWhole('keys', keys, { idOf: ({ kid }) => kid, limit: query.limit, cursor: query.cursor });
  }

  @Serves(rotateKeys)
  async rotate({ by, reply }: Ask<typeof rotateKeys>): Promise<Answer<typeof rotateKeys>> {
    reply.header('location', '/admin/v1/keys');
    return keyFacts(await this.keys.rotate(by));
  }

  @Serves(listFlows)
  async traces({ query: { limit, cursor, ...filter } }: Ask<typeof listFlows>): Promise<Answer<typeof listFlows>> {
    const { items, next } = await this.flows.page(filter, { after: readCursor('flows', cursor), limit });
    return { items: items.map(flowFacts), next_cursor: next && writeCursor('flows', next) };
  }

  @Serves(getStats)
  async now(): Promise<Answer<typeof getStats>> {
    return this.stats.now();
  }
}
