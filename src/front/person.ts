import type { FastifyRequest } from 'fastify';

/** Does a browser ask, to show the answer to a person? Programs ask for JSON, or for anything. */
export function isPerson({ headers, method }: Pick<FastifyRequest, 'headers' | 'method'>): boolean {
  return (method === 'GET' || method === 'HEAD') && (headers.accept ?? '').includes('text/html');
}
