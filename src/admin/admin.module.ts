import { Inject, Module } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { UsersModule } from '../users/users.module.js';
import { ClientsController } from './clients.controller.js';
import { EventsController } from './events.controller.js';
import { GrantsController } from './grants.controller.js';
import { sendProblem } from './problems.filter.js';
import { ADMIN_ROUTE } from './operation.js';
import { ProviderFacts } from './provider-facts.js';
import { ReferenceController } from './reference.controller.js';
import { Stats } from './stats.js';
import { SystemController } from './system.controller.js';
import { TokensController } from './tokens.controller.js';
import { UnknownController } from './unknown.controller.js';
import { UsersController } from './users.controller.js';

/** No body of the admin API is larger. */
const BODY_LIMIT = 65_536;

/** The admin API: thin controllers over the stores of the other rooms. */
@Module({
  imports: [UsersModule],
  controllers: [
    UsersController,
    ClientsController,
    GrantsController,
    TokensController,
    EventsController,
    SystemController,
    ReferenceController,
    UnknownController,
  ],
  providers: [ProviderFacts, Stats],
})
export class AdminModule {
  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost) {
    const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (!adapter || adapter.getType() !== 'fastify') return;
    adapter.getInstance<FastifyInstance>().addHook('onRoute', (route) => {
      const config: { gatehouse?: unknown; readsBody?: unknown } | undefined = route.config;
      if (config?.gatehouse !== ADMIN_ROUTE.gatehouse) return;
      route.bodyLimit = BODY_LIMIT;
      // Many clients name a media type with every request; where no body is read, an empty one is none.
      if (config.readsBody === false)
        route.onRequest = (request, _reply, next) => {
          const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
          if (length === '0' && encoding === undefined) delete request.headers['content-type'];
          next();
        };
      // What the parser refuses (bad JSON, size, media type) never reaches a filter of ours.
      route.errorHandler = (error, _request, reply) => sendProblem(reply, error);
    });
  }
}
