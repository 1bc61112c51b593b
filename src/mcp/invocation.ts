import { randomBytes } from 'node:crypto';
import { ForbiddenException, Logger, UnauthorizedException } from '@nestjs/common';
import {
  type CallToolResult,
  type GetPromptResult,
  type InputRequiredResult,
  isInputRequiredResult,
  ProtocolError,
  ProtocolErrorCode,
  type PromptMessage,
  type ReadResourceResult,
  SdkError,
} from '@modelcontextprotocol/server';
import type { McpCall } from './call.js';
import type { ReadTarget } from './catalogue.js';
import type { PromptEntry, ToolEntry } from './entries.js';
import { ToolError } from './tool-error.js';

const log = new Logger('Mcp');

/** Calls a tool: bad input and `ToolError` become `isError` results, other errors are masked; throws only what must be a JSON-RPC error. */
export async function callTool(
  entry: ToolEntry,
  rawArguments: unknown,
  call: McpCall,
): Promise<CallToolResult | InputRequiredResult> {
  const parsed = await entry.input.parse(rawArguments);
  if ('fault' in parsed) return failed(`Invalid arguments for ${entry.name}: ${parsed.fault}`);
  try {
    return await toolResult(entry, await entry.run(parsed.value, call));
  } catch (error) {
    if (error instanceof ProtocolError && error.code === (ProtocolErrorCode.UrlElicitationRequired as number))
      throw error;
    return failed(wordsFor(error, `tool ${entry.name}`));
  }
}

/** Reads a resource. @throws ProtocolError with a masked message */
export async function readResource(
  { entry, variables }: ReadTarget,
  uri: URL,
  call: McpCall,
): Promise<ReadResourceResult | InputRequiredResult> {
  const value = await masked(`resource ${entry.name}`, () => entry.run(variables ?? uri, call));
  if (isInputRequiredResult(value)) return value;
  const facts = { uri: uri.toString(), ...(entry.mimeType ? { mimeType: entry.mimeType } : {}) };
  const result: ReadResourceResult =
    typeof value === 'string'
      ? { contents: [{ ...facts, text: value }] }
      : value instanceof Uint8Array
        ? { contents: [{ ...facts, blob: Buffer.from(value).toString('base64') }] }
        : (value as ReadResourceResult);
  return entry.cache ? { ...entry.cache, ...result } : result;
}

/** Renders a prompt. @throws ProtocolError for bad arguments, or with a masked message */
export async function getPrompt(
  entry: PromptEntry,
  rawArguments: unknown,
  call: McpCall,
): Promise<GetPromptResult | InputRequiredResult> {
  const parsed = await entry.input.parse(rawArguments);
  if ('fault' in parsed)
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `Invalid arguments for prompt ${entry.name}: ${parsed.fault}`,
    );
  const value = await masked(`prompt ${entry.name}`, () => entry.run(parsed.value, call));
  if (typeof value === 'string') return { messages: [{ role: 'user', content: { type: 'text', text: value } }] };
  if (Array.isArray(value)) return { messages: value as PromptMessage[] };
  return value as GetPromptResult | InputRequiredResult;
}

async function toolResult(entry: ToolEntry, value: unknown): Promise<CallToolResult | InputRequiredResult> {
  if (isInputRequiredResult(value)) return value;
  if (typeof value === 'string' && !entry.output) return { content: [{ type: 'text', text: value }] };
  if (value === undefined || value === null) {
    if (entry.output) throw new Error(`${entry.origin} returned nothing, although it declares an output`);
    return { content: [] };
  }
  if (isFullResult(value, entry)) {
    if (entry.output && !value.isError) await conform(entry, value.structuredContent);
    return value;
  }
  if (!entry.output) throw new Error(`${entry.origin} returned an object without declaring an output`);
  const structuredContent = (await conform(entry, value)) as Record<string, unknown>;
  return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent };
}

function isFullResult(value: unknown, { output }: ToolEntry): value is CallToolResult {
  if (typeof value !== 'object' || value === null) return false;
  if (!('content' in value) || !Array.isArray(value.content)) return 'structuredContent' in value;
  return !output || 'structuredContent' in value || ('isError' in value && value.isError === true);
}

async function conform({ output, origin }: ToolEntry, value: unknown): Promise<unknown> {
  const parsed = await output!.parse(value);
  if ('fault' in parsed) throw new Error(`${origin} returned what its output schema forbids: ${parsed.fault}`);
  return parsed.value;
}

async function masked(what: string, run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError(ProtocolErrorCode.InternalError, wordsFor(error, what));
  }
}

/** What the model may read of an error. */
function wordsFor(error: unknown, what: string): string {
  if (error instanceof ToolError || error instanceof SdkError || error instanceof ProtocolError) return error.message;
  if (error instanceof ForbiddenException || error instanceof UnauthorizedException) return 'Not allowed.';
  const reference = randomBytes(6).toString('hex');
  log.error(
    `${what} failed, reference ${reference}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`,
    error instanceof Error ? error.stack : undefined,
  );
  return `The call failed on the server. Reference: ${reference}`;
}

function failed(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}
