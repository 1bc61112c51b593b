import { randomUUID } from 'node:crypto';
import { specTypeSchemas, type StandardSchemaV1Sync } from '@modelcontextprotocol/server';
import type { Message } from './json-rpc.js';

const SCHEMAS: Readonly<Record<string, StandardSchemaV1Sync>> = {
  initialize: specTypeSchemas.InitializeRequestParams,
  'tools/list': specTypeSchemas.PaginatedRequestParams,
  'prompts/list': specTypeSchemas.PaginatedRequestParams,
  'prompts/get': specTypeSchemas.GetPromptRequestParams,
  'resources/list': specTypeSchemas.PaginatedRequestParams,
  'resources/templates/list': specTypeSchemas.PaginatedRequestParams,
  'resources/read': specTypeSchemas.ReadResourceRequestParams,
  'resources/subscribe': specTypeSchemas.SubscribeRequestParams,
  'resources/unsubscribe': specTypeSchemas.UnsubscribeRequestParams,
  'completion/complete': specTypeSchemas.CompleteRequestParams,
  'logging/setLevel': specTypeSchemas.SetLevelRequestParams,
};

/** Methods that 2026-07-28 has no more: there the SDK answers 404 (HT-11), whatever their parameters. */
const ONLY_2025 = new Set(['initialize', 'resources/subscribe', 'resources/unsubscribe', 'logging/setLevel']);

/**
 * What is wrong with the parameters of a request; null: nothing, or the SDK will say. Checked before the SDK does, because it answers
 * malformed parameters with -32603 and a dump where MCP wants -32602.
 */
export function faultOfParams({ method, params }: Message, era: 'legacy' | 'modern'): string | null {
  if (era === 'modern' && ONLY_2025.has(method)) return null;
  // Written out, since it stands before every call.
  if (method === 'tools/call') {
    if (typeof params['name'] !== 'string') return 'params.name must be a string';
    const args = params['arguments'];
    if (args !== undefined && (typeof args !== 'object' || args === null || Array.isArray(args)))
      return 'params.arguments must be an object';
    return null;
  }
  const schema = Object.hasOwn(SCHEMAS, method) ? SCHEMAS[method] : undefined;
  const issues = schema?.['~standard'].validate(params).issues;
  return issues ? issues.map(({ path, message }) => `${described(path)}: ${message}`).join('; ') : null;
}

/** The method that stands in a batch for a request with malformed parameters: the SDK answers each message, so ours comes from there too. Nobody else knows the name. */
export const MALFORMED = `malformed/${randomUUID()}`;

function described(path: readonly unknown[] = []): string {
  return [
    'params',
    ...path.map((part) => (typeof part === 'object' && part !== null && 'key' in part ? part.key : part)),
  ]
    .map(String)
    .join('.');
}
