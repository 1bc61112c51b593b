import { All, Req } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { ADMIN_ROUTE, AdminApi } from './operation.js';
import { operations } from './operations.js';
import { Problem } from './problem.js';

/** What is under `/admin/v1` and no operation; behind the guard, so that strangers learn nothing. */
@AdminApi()
export class UnknownController {
  @All(['', '*'])
  @RouteConfig(ADMIN_ROUTE)
  none(@Req() request: FastifyRequest): never {
    const path = request.url.split('?')[0]!.replace(/^\/admin\/v1|\/$/g, '');
    const methods = operations
      .filter((one) => patternOf(one.path).test(path))
      .map(({ method }) => method.toUpperCase());
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    // An operation that did not take its own address: an id longer than any is.
    if (methods.length === 0 || methods.includes(method)) throw new Problem(404, 'There is nothing at this address.');
    const allow = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
    throw new Problem(405, 'This address does not answer that method.', { headers: { allow: allow.join(', ') } });
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/:\w+/g, '[^/]+')}$`);
}
