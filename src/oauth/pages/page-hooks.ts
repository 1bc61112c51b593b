import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { PageFilter } from './page.filter.js';

/** Bodies of forms, bytes. */
const MAX_BODY = 64 * 1024;

/** The route configuration of a page: `@RouteConfig(PAGE_ROUTE)`. */
export const PAGE_ROUTE = { gatehouse: 'page' } as const;

/** What the framework refuses before a page's controller runs (bad JSON, 413, 415) is answered by a page too. Hung on the routes, so that it works inside anybody's Nest application. */
@Injectable()
export class PageHooks {
  readonly #filter = new PageFilter();

  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost) {
    const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (!adapter || adapter.getType() !== 'fastify') return;
    adapter.getInstance<FastifyInstance>().addHook('onRoute', (route) => this.#equip(route));
  }

  #equip(route: RouteOptions): void {
    const config: { readonly gatehouse?: unknown } = { ...route.config };
    if (config.gatehouse !== PAGE_ROUTE.gatehouse) return;
    route.bodyLimit = MAX_BODY;
    route.errorHandler = (error, _request, reply) => this.#filter.answer(error, reply);
  }
}
